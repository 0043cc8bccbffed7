package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
)

// HasQueue finds a queue group without delivering a message. A plain subscriber is no queue group.
func TestHasQueue_DeliversNothing(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	dial := func() *nats.Conn {
		nc, err := server.Connect()
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	requester, worker := dial(), dial()
	has := func(subject, queue string) bool {
		found, err := bus.HasQueue(t.Context(), requester, subject, queue)
		require.NoError(t, err)
		return found
	}
	assert.False(t, has("a.b", "group"))
	got := make(chan *nats.Msg, 10)
	_, err = worker.ChanSubscribe("a.>", got)
	require.NoError(t, err)
	require.NoError(t, worker.Flush())
	assert.False(t, has("a.b", "group"), "a plain subscriber is no worker")
	_, err = worker.ChanQueueSubscribe("a.*", "group", got)
	require.NoError(t, err)
	require.NoError(t, worker.Flush())
	assert.True(t, has("a.b", "group"))
	assert.False(t, has("a.b", "other"))
	require.NoError(t, worker.Flush())
	assert.Empty(t, got)
}
