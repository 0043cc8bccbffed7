package registry_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// A replica that settles the consumers late follows the later version that another replica has
// registered meanwhile.
func TestSettle_LaterVersionRegisteredMeanwhile(t *testing.T) {
	t.Parallel()
	for name, late := range map[string][]room.Interface{
		"fewer post-interfaces": {room.PostRoomUserJoined},
		"no post-interface":     {room.PreRoomUserLeave},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			first, second := s.open(t), s.open(t)
			m := room.Manifest{ID: "a", Version: "1.0.0", Implements: late}
			_, err := first.Register(t.Context(), m, "")
			require.NoError(t, err)
			revision := first.CatchUp(t.Context(), 0)
			both := room.Manifest{ID: "a", Version: "2.0.0", Implements: []room.Interface{room.PostRoomCreate, room.PostRoomUserJoined}}
			_, err = second.Register(t.Context(), both, "")
			require.NoError(t, err)

			require.NoError(t, first.Settle(t.Context(), m, revision))
			for _, stream := range []jetstream.Stream{s.events, s.replays} {
				c, err := stream.Consumer(t.Context(), subjects.Durable("a"))
				require.NoError(t, err)
				assert.False(t, c.CachedInfo().Paused)
			}
			c, err := s.events.Consumer(t.Context(), subjects.Durable("a"))
			require.NoError(t, err)
			filters := []string{subjects.PostsLike(room.EventCreate), subjects.PostsLike(room.EventUserJoin)}
			assert.ElementsMatch(t, filters, c.CachedInfo().Config.FilterSubjects)
		})
	}
}

// A missing consumer is recreated behind the last ack floor, so that no event is lost.
func TestMendConsumers_RecreatedBehindTheAckFloor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := s.open(t)
	m := room.Manifest{ID: "a", Version: "1.0.0", Implements: []room.Interface{room.PostRoomCreate}, Deliver: room.DeliverAll}
	_, err := r.Register(t.Context(), m, "")
	require.NoError(t, err)
	for range 3 {
		_, err = s.js.Publish(t.Context(), subjects.Post(room.EventCreate, "r"), nil)
		require.NoError(t, err)
	}
	c, err := s.events.Consumer(t.Context(), subjects.Durable("a"))
	require.NoError(t, err)
	msg, err := c.Next()
	require.NoError(t, err)
	require.NoError(t, msg.DoubleAck(t.Context()))
	r.MendConsumers(t.Context())
	assert.Zero(t, r.Remade())

	require.NoError(t, s.events.DeleteConsumer(t.Context(), subjects.Durable("a")))
	require.Eventually(t, func() bool { r.MendConsumers(t.Context()); return r.Remade() == 1 }, time.Minute, time.Millisecond)
	c, err = s.events.Consumer(t.Context(), subjects.Durable("a"))
	require.NoError(t, err)
	assert.EqualValues(t, 2, c.CachedInfo().Config.OptStartSeq)
}

// A consumer that is missing because the stream is new has lost no event.
func TestMendConsumers_NewStreamLosesNoEvent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	log := harness.NewOutput()
	s.log = slog.New(slog.NewTextHandler(log, nil))
	_, err := s.open(t).Register(t.Context(), room.Manifest{ID: "a", Version: "1.0.0", Implements: []room.Interface{room.PostRoomCreate}}, "")
	require.NoError(t, err)
	require.NoError(t, s.events.DeleteConsumer(t.Context(), subjects.Durable("a")))
	r := s.open(t) // it knows no ack floor
	require.Eventually(t, func() bool { r.MendConsumers(t.Context()); return r.Remade() == 1 }, time.Minute, time.Millisecond)
	log.Await(t, `level=INFO msg="missing consumer of an app recreated: the stream has had no event" app=a`)
	assert.NotContains(t, log.String(), "level=ERROR")
}
