package scene

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// RequireChained checks that every event of the stream names its predecessor in its room, and that
// versions count up.
func RequireChained(t testing.TB, events []room.Event) {
	t.Helper()
	last, version := map[string]uint64{}, map[string]uint64{}
	for _, e := range events {
		require.Equal(t, last[e.Room], e.Expected, "event %d of room %s", e.Seq, e.Room)
		if e.Type == room.EventCreate {
			version[e.Room] = 0
		}
		version[e.Room]++
		require.Equal(t, version[e.Room], e.Version)
		last[e.Room] = e.Seq
	}
}

// DeadLetters returns the dead letters, once there are n.
func DeadLetters(t testing.TB, b *harness.Bus, n int) (letters []room.DeadLetter, stored []*jetstream.RawStreamMsg) {
	t.Helper()
	require.Eventually(t, func() bool {
		stored = b.Stored(t, subjects.DeadLetters)
		return len(stored) >= n
	}, 4*harness.ReplyTime, harness.Tick, "some come after several retries")
	for _, msg := range stored {
		d, err := subjects.DecodeDead(msg.Subject, msg.Header)
		require.NoError(t, err)
		letters = append(letters, d)
	}
	return letters, stored
}
