package registry

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
			e.advance(7)
			e.markSynced(7)
			assert.False(t, e.differs(bucket(began, 7)))
			assert.True(t, e.differs(other))
			assert.True(t, e.differs(nil))

			e.markStale(nil)
			e.resetIfRecreated(other)
			assert.Equal(t, 2, known)
			e.update("one", value{data: []byte(`{"id":"one","version":"1.0.0","implements":["PreRoomUserJoined"]}`), revision: 1})
			assert.Equal(t, 2, known)
			e.advance(1)
			e.markSynced(1)
			assert.Equal(t, 1, known)
		})
	}
}

// A change by this service does not mean that the watch has delivered the changes of other services before
// it: a client that waits for one of those would find an earlier state here.
func TestEntries_OwnChangeDoesNotCoverEarlierOnes(t *testing.T) {
	t.Parallel()
	e := newEntries(slog.New(slog.DiscardHandler), func([]*room.Registration, expression.Params) {})
	e.advance(7)
	e.markSynced(7)
	own := func(revision uint64) {
		t.Helper()
		e.update("param.own", value{data: []byte(`1`), revision: revision})
		require.Equal(t, revision, e.get("param.own").revision, "it is in force at once")
	}
	own(8)
	assert.EqualValues(t, 8, e.syncedRevision(), "nothing is between")
	own(10)
	assert.EqualValues(t, 8, e.syncedRevision(), "9 is to come")
	e.forget("param.own", 12)
	assert.EqualValues(t, 8, e.syncedRevision())
	e.update("param.other", value{data: []byte(`1`), revision: 9})
	e.advance(9)
	assert.EqualValues(t, 9, e.syncedRevision())
	e.advance(12)
	assert.EqualValues(t, 12, e.syncedRevision())
}

// A policy whose rules are invalid here, because a later version of the service has accepted them, is known
// and fails. Without it, actions would pass that it may deny.
func TestEntries_InvalidRulesAreKept(t *testing.T) {
	t.Parallel()
	for rules, kept := range map[string]bool{
		`{"PreRoomUserJoined":[{"later":"true"}]}`:        true,
		`{"PreRoomUserJoined":[]}`:                        true,
		`{"PreRoomUserJoined":[{"deny":"user.nothing"}]}`: true,
		`{}`:                           true, // no policy
		`{"PreRoomUserJoined":"text"}`: false,
	} {
		e := newEntries(slog.New(slog.DiscardHandler), func([]*room.Registration, expression.Params) {})
		e.update("house", value{data: []byte(`{"id":"house","version":"1.0.0","implements":["PreRoomUserJoined"],"rules":` + rules + `}`), revision: 1})
		assert.Equal(t, kept, e.get("house").registration != nil, rules)
	}
}
