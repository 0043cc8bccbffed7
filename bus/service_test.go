package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
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
