package state_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomclient"
)

// The same on three nodes, where a purge goes through all copies of the stream.
func TestClusterRetention_RoomsRecreatedDuringPurges(t *testing.T) {
	t.Parallel()
	cluster := harness.NewCluster(t, "../../../deploy/nats/node.conf")
	for range 2 {
		p := harness.Start(t, harness.Binary(t), "serve", "--nats", cluster.URL(), "--stream-replicas", "3", "--retain-deleted", "0s")
		p.Stderr.Await(t, `msg=serving`)
	}
	nc := cluster.Connect(t, 0)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	c := churn{b: &harness.Bus{NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})}}
	for n := range 9 {
		c.clients = append(c.clients, roomclient.New(cluster.Connect(t, n%len(cluster.Nodes)), roomclient.Config{AttemptTimeout: harness.Patience}))
	}
	c.run(t, 2, 2*time.Minute)
	awaitStored(t, c.b, 2*uint64(len(c.clients)))

	p := harness.Start(t, harness.Binary(t), "serve", "--nats", cluster.URL(), "--stream-replicas", "3", "--retain-deleted", "0s")
	p.Stderr.Await(t, `msg=serving.* rooms=9 .* quarantined=0`)
}
