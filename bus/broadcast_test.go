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

func TestStatsWithin_CancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := nc.Subscribe("$SRV.STATS.rooms", func(msg *nats.Msg) {
		assert.NoError(t, msg.Respond([]byte(`{"name":"rooms"}`)))
	})
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		_, err := bus.StatsWithin(ctx, nc, "rooms", time.Minute)
		ended <- err
	}()
	require.Eventually(t, func() bool { return nc.Stats().InMsgs == 2 }, 10*time.Second, time.Millisecond) // the reply has arrived
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
