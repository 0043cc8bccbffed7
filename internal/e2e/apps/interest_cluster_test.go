package apps_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/harness"
)

// A queue group on another node than the connection's is found.
func TestHasQueue_OnAnotherNode(t *testing.T) {
	t.Parallel()
	cluster := harness.NewCluster(t, "../../../deploy/nats/node.conf")
	asker, worker := harness.ConnectTo(t, cluster.Nodes[0].URL), harness.ConnectTo(t, cluster.Nodes[1].URL)
	has := func() bool {
		found, err := bus.HasQueue(t.Context(), asker, "room.pre.userjoin.guard", "guard")
		require.NoError(t, err)
		return found
	}
	assert.False(t, has())
	got := make(chan *nats.Msg, 1)
	_, err := worker.ChanQueueSubscribe("room.pre.userjoin.guard", "guard", got)
	require.NoError(t, err)
	require.NoError(t, worker.Flush())
	require.Eventually(t, has, harness.ReplyTime, harness.Tick, "the other node knows the subscription")
	watcher := harness.ConnectTo(t, cluster.Nodes[2].URL)
	_, err = watcher.ChanSubscribe("room.>", got)
	require.NoError(t, err)
	require.NoError(t, watcher.Flush())
	for range 50 {
		assert.True(t, has(), "the nodes answer in any order")
	}
	require.NoError(t, worker.Flush())
	assert.Empty(t, got, "nothing is delivered")
}
