package roomsvc

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/room"
)

// While a recreated bucket is read, a command in progress still asks the apps of the earlier
// bucket.
func TestApps_KeptUntilNewBucketIsRead(t *testing.T) {
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
			a := newApps(nil, Defaults(), func(registered []*room.Registration) { known = len(registered) })
			a.resetIfRecreated(bucket(began, 7))
			for _, id := range []string{"one", "two"} {
				a.update(id, []byte(`{"id":"`+id+`","version":"1.0.0","implements":["PreRoomUserJoined"]}`), 7)
			}
			a.markSynced(7)
			assert.False(t, a.differs(bucket(began, 7)))
			assert.True(t, a.differs(other))
			assert.True(t, a.differs(nil))

			a.markStale(nil)
			a.resetIfRecreated(other)
			assert.Equal(t, 2, known)
			a.update("one", []byte(`{"id":"one","version":"1.0.0","implements":["PreRoomUserJoined"]}`), 1)
			assert.Equal(t, 2, known)
			a.markSynced(1)
			assert.Equal(t, 1, known)
		})
	}
}
