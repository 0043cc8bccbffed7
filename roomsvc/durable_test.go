package roomsvc

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// A replica that settles the consumers late follows the later version that another replica has
// registered meanwhile.
func TestSettleDurables_LaterVersionRegisteredMeanwhile(t *testing.T) {
	t.Parallel()
	for name, late := range map[string][]room.Interface{
		"fewer post-interfaces": {room.PostRoomUserJoined},
		"no post-interface":     {room.PreRoomUserLeave},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := twoServices(t)
			m := room.Manifest{ID: "a", Version: "1.0.0", Implements: late}
			_, err := first.registerApp(t.Context(), m)
			require.NoError(t, err)
			_, revision, err := first.apps.change(t.Context(), "a", func(was *room.Registration) (room.Registration, bool, error) {
				return *was, false, nil
			}, func(room.Registration, uint64) error { return nil })
			require.NoError(t, err)
			both := room.Manifest{ID: "a", Version: "2.0.0", Implements: []room.Interface{room.PostRoomCreate, room.PostRoomUserJoined}}
			_, err = second.registerApp(t.Context(), both)
			require.NoError(t, err)

			require.NoError(t, first.settleDurables(t.Context(), m, revision))
			for _, stream := range []jetstream.Stream{first.stream, first.replays} {
				c, err := stream.Consumer(t.Context(), subjects.Durable("a"))
				require.NoError(t, err)
				assert.False(t, c.CachedInfo().Paused)
			}
			c, err := first.stream.Consumer(t.Context(), subjects.Durable("a"))
			require.NoError(t, err)
			assert.ElementsMatch(t, postFilters(both), c.CachedInfo().Config.FilterSubjects)
		})
	}
}
