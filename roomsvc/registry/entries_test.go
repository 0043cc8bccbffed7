package registry

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// While a recreated bucket is read, a command in progress still asks the apps of the earlier
// bucket.
func TestEntries_KeptUntilNewBucketIsRead(t *testing.T) {
	t.Parallel()
	bucket := func(created time.Time, lastSeq uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{Created: created, State: jetstream.StreamState{LastSeq: lastSeq}}
	}
	began := time.Now()
	for name, other := range map[string]*jetstream.StreamInfo{
		"created later": bucket(began.Add(time.Second), 7),
		"ends earlier":  bucket(began, 6),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := 0
			e := newEntries(slog.New(slog.DiscardHandler), func(registered []*room.Registration, _ expression.Params) { known = len(registered) })
			e.resetIfRecreated(bucket(began, 7))
			for _, id := range []string{"one", "two"} {
				e.update(id, value{data: []byte(`{"id":"` + id + `","version":"1.0.0","implements":["PreRoomUserJoined"]}`), revision: 7})
			}
			e.markSynced(7)
			assert.False(t, e.differs(bucket(began, 7)))
			assert.True(t, e.differs(other))
			assert.True(t, e.differs(nil))

			e.markStale(nil)
			e.resetIfRecreated(other)
			assert.Equal(t, 2, known)
			e.update("one", value{data: []byte(`{"id":"one","version":"1.0.0","implements":["PreRoomUserJoined"]}`), revision: 1})
			assert.Equal(t, 2, known)
			e.markSynced(1)
			assert.Equal(t, 1, known)
		})
	}
}
