package harness

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// RequireAllServe checks that there are n instances of the service, that each has handled requests,
// and that none has found a message in the stream that it could not apply.
func RequireAllServe(t testing.TB, nc *nats.Conn, n int) {
	t.Helper()
	subject, err := micro.ControlSubject(micro.StatsVerb, subjects.Service, "")
	require.NoError(t, err)
	sub, err := nc.SubscribeSync(nc.NewInbox())
	require.NoError(t, err)
	require.NoError(t, nc.PublishRequest(subject, sub.Subject, nil))
	for range n {
		msg, err := sub.NextMsg(ReplyTime)
		require.NoError(t, err, "some instances do not report their stats")
		var stats micro.Stats
		require.NoError(t, json.Unmarshal(msg.Data, &stats))
		handled := 0
		for _, e := range stats.Endpoints {
			var data roomsvc.EndpointData
			require.NoError(t, json.Unmarshal(e.Data, &data))
			handled += e.NumRequests
			assert.Zero(t, data.Quarantined)
		}
		assert.NotZero(t, handled, "requests that instance %s has handled", stats.ID)
	}
}

// EndpointData returns the data in the room service's statistics.
func (b *Bus) EndpointData(t testing.TB) roomsvc.EndpointData {
	t.Helper()
	var stats struct {
		Endpoints []struct{ Data roomsvc.EndpointData }
	}
	require.NoError(t, json.Unmarshal(b.Request(t, "$SRV.STATS.rooms", "").Data, &stats))
	return stats.Endpoints[0].Data
}
