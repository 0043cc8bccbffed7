package commands_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// One of two services takes a request and does not answer. The next attempt, at the other one,
// still has time.
func TestClient_HungServiceCostsOneAttempt(t *testing.T) {
	t.Parallel()
	for name, deadline := range map[string]time.Duration{"with the default timeout": 0, "within five seconds": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			taken := make(chan *nats.Msg, 1)
			hung, err := b.NC.ChanQueueSubscribe("room.svc.join", "rooms", taken)
			require.NoError(t, err)
			require.NoError(t, hung.AutoUnsubscribe(1))
			for n := 0; len(taken) == 0; n++ { // NATS picks one of the two at random
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, deadline)
				}
				_, err := b.Client.Join(ctx, room.JoinRequest{RoomID: "r", User: room.User{ID: strconv.Itoa(n)}})
				cancel()
				require.NoError(t, err)
			}
		})
	}
}

// An app may take most of the service's budget. The client's first attempt must not end before
// that.
func TestClient_SlowAppIsAskedOnceWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	joined := []room.Interface{room.PreRoomUserJoined}
	b.Register(t, room.Manifest{ID: "slow", Implements: joined, Essentials: joined, TimeoutMs: new(3500)})
	var asked atomic.Int64
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) {
		asked.Add(1)
		time.AfterFunc(2600*time.Millisecond, func() { _ = msg.Respond([]byte(`{"verdict":"allow"}`)) })
	})
	// Without a subscriber on the retry subject, the service retries on the first subject.
	retried, err := b.NC.SubscribeSync("room.pre.userjoin.slow.retry")
	require.NoError(t, err)
	require.NoError(t, b.NC.Flush())
	require.NoError(t, scene.JoinWithin(t, roomclient.New(b.NC, roomclient.Config{}), "alice", 5*time.Second))
	assert.EqualValues(t, 1, asked.Load())
	require.NoError(t, retried.Unsubscribe())
}
