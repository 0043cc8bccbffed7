package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

// A service that has stopped stops again without waiting for what has ended long ago.
func TestServiceStopsTwice(t *testing.T) {
	t.Parallel()
	s, err := bus.NewService(connect(t), bus.ServiceConfig{Name: "s", Version: "1.0.0"}, bus.Endpoint{
		Name: "e", Subject: "e", Queue: "q", Serve: func(*nats.Msg, time.Time) ([]byte, error) { return nil, nil },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
	require.NoError(t, s.Stop(ctx))
}

// Requests over the bound do not each take a goroutine, though answering them be slow.
func TestServiceRefusesWithFewGoroutines(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	const over = 100
	begun, refusing, end := make(chan struct{}, 1+over), make(chan struct{}, over), make(chan struct{})
	s, err := bus.NewService(nc, bus.ServiceConfig{
		Name: "s", Version: "1.0.0", MaxInFlight: 1,
		Refuse: func(string, error) *nats.Msg {
			refusing <- struct{}{}
			<-end
			return nats.NewMsg("")
		},
	}, bus.Endpoint{
		Name: "e", Subject: "e", Queue: "q", Serve: func(*nats.Msg, time.Time) ([]byte, error) {
			begun <- struct{}{}
			<-end
			return nil, nil
		},
	})
	require.NoError(t, err)
	defer func() {
		close(end)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.NoError(t, s.Stop(ctx))
	}()
	ask := func() { require.NoError(t, nc.PublishRequest("e", nats.NewInbox(), nil)) }
	ask()
	<-begun
	for range over {
		ask()
	}
	require.NoError(t, nc.Flush())
	<-refusing
	assert.Never(t, func() bool { return len(refusing) > 0 }, 100*time.Millisecond, 10*time.Millisecond)
}
