package projection

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// read lets a projection consume events of a room, a minute apart, from a sequence on.
func read(t *testing.T, p *Projection, first, expected uint64, roomID string, types ...room.EventType) {
	t.Helper()
	for n, typ := range types {
		seq := first + uint64(n)
		e := room.Event{
			ID: "c", Type: typ, Room: roomID, Time: noon.Add(time.Duration(seq) * time.Minute), Seq: seq, Expected: expected,
			Version: uint64(n + 1), Data: room.Data{Room: room.Room{ID: roomID}, Members: []room.User{{ID: "owner"}}},
		}
		require.NoError(t, p.consume(e, e.Time))
		expected = seq
	}
}

// A projection that is being read again does not answer as if it were complete.
func TestProjection_UnavailableWhileStreamIsReadAgain(t *testing.T) {
	t.Parallel()
	p := newProjection(time.Time{})
	read(t, p, 1, 0, "r", room.EventCreate)
	p.reset(time.Time{}, 2)
	ask := func() []error {
		_, err1 := p.Room("r")
		_, _, err2 := p.List(room.ListRequest{})
		_, err3 := p.MembersAfter("r", "", 10)
		return []error{err1, err2, err3}
	}
	for _, err := range ask() {
		require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	}
	read(t, p, 1, 0, "r", room.EventCreate)
	for _, err := range ask() {
		require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable}, "there is more to come")
	}
	p.skipTo(2)
	for _, err := range ask() {
		require.NoError(t, err)
	}
}

func TestDeletions_DueInOrder(t *testing.T) {
	t.Parallel()
	p := newProjection(time.Time{})
	read(t, p, 1, 0, "a", room.EventCreate, room.EventDelete)
	read(t, p, 3, 0, "b", room.EventCreate, room.EventDelete)
	late := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		before time.Time
		floor  uint64
		due    bool
	}{
		"all":            {late, math.MaxUint64, true},
		"too young":      {noon.Add(2 * time.Minute), math.MaxUint64, false},
		"old enough":     {noon.Add(2*time.Minute + 1), 2, true},
		"needed by some": {late, 1, false},
	} {
		roomID, seq, due := p.Due(c.before, c.floor)
		assert.Equal(t, c.due, due, name)
		assert.Equal(t, "a", roomID, name)
		assert.EqualValues(t, 2, seq, name)
	}
	p.Forget("a", 2)
	roomID, seq, due := p.Due(late, 9)
	require.True(t, due)
	assert.Equal(t, "b", roomID)
	p.Forget(roomID, seq)
	_, _, due = p.Due(late, 9)
	assert.False(t, due)
	assert.Empty(t, p.rooms.byID)
}

// An event that this service has committed comes again from the stream.
func TestDeletions_NotDueBeforeRead(t *testing.T) {
	t.Parallel()
	p := newProjection(time.Time{})
	read(t, p, 1, 0, "r", room.EventCreate)
	p.Commit(room.Event{Type: room.EventDelete, Room: "r", Time: noon, Seq: 2, Expected: 1, Version: 2, Data: room.Data{Room: room.Room{ID: "r"}}})
	_, _, due := p.Due(noon.Add(time.Hour), math.MaxUint64)
	assert.False(t, due)
	p.skipTo(2)
	_, _, due = p.Due(noon.Add(time.Hour), math.MaxUint64)
	assert.True(t, due)
}

// Only a room whose last event is the deletion is dropped.
func TestDeletions_RecreatedRoomIsKept(t *testing.T) {
	t.Parallel()
	for name, goOn := range map[string]func(*testing.T, *Projection){
		"created again":     func(t *testing.T, p *Projection) { read(t, p, 3, 2, "r", room.EventCreate) },
		"deleted once more": func(t *testing.T, p *Projection) { read(t, p, 3, 2, "r", room.EventCreate, room.EventDelete) },
		"foreign message":   func(_ *testing.T, p *Projection) { p.quarantine(room.Event{Room: "r", Seq: 3}, noon) },
	} {
		p := newProjection(time.Time{})
		read(t, p, 1, 0, "r", room.EventCreate, room.EventDelete)
		goOn(t, p)
		before := p.rooms.byID["r"]
		was := *before
		p.Forget("r", 2)
		after := p.rooms.byID["r"]
		require.NotNil(t, after, name)
		assert.Equal(t, was, *after, name)
	}
}

func TestGapCheck_Missed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gaps      gapCheck
		last, seq uint64
		missed    bool
	}{
		{gapCheck{fromStart: true, end: 10}, 0, 1, false},
		{gapCheck{fromStart: true, end: 10}, 0, 7, false}, // removed before it was read for the first time
		{gapCheck{fromStart: true, end: 10}, 3, 11, false},
		{gapCheck{fromStart: true, end: 10}, 3, 12, true}, // removed since
		{gapCheck{fromStart: true, end: 10}, 11, 12, false},
		{gapCheck{fromStart: true, end: 10}, 11, 13, true},
		{gapCheck{fromStart: false, end: 10}, 3, 4, false},
		{gapCheck{fromStart: false, end: 10}, 3, 5, true},
		{gapCheck{fromStart: false, end: 3}, 3, 5, true},
	} {
		assert.Equal(t, c.missed, c.gaps.missed(c.last, c.seq), "%+v", c)
	}
}

// bodiless is a message of the stream without a body.
type bodiless struct {
	jetstream.Msg
	subject string
	headers nats.Header
}

func (m bodiless) Subject() string      { return m.subject }
func (m bodiless) Headers() nats.Header { return m.headers }
func (m bodiless) Data() []byte         { return nil }

// In a replicated stream a foreign message can be stored in front of a commit despite the guard.
// The commit may be known before the message is read.
func TestProjection_ForeignMessageBeforeCommitIsQuarantined(t *testing.T) {
	t.Parallel()
	p := newProjection(time.Time{})
	p.cfg.Logger = slog.New(slog.DiscardHandler)
	f := &follower{p}
	read(t, p, 1, 0, "r", room.EventCreate)
	p.Commit(room.Event{
		ID: "j", Type: room.EventUserJoin, Room: "r", Time: noon, Seq: 3, Expected: 1, Version: 2,
		Data: room.Data{Room: room.Room{ID: "r"}, JoiningUser: &room.User{ID: "alice"}},
	})
	f.consume(bodiless{subject: subjects.Post(room.EventUserJoin, "r")}, &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: 2}})
	f.consume(bodiless{subject: subjects.Post(room.EventUserJoin, "r"), headers: nats.Header{subjects.ID: {"j"}}}, &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: 3}})
	c := p.Stats()
	assert.Equal(t, uint64(1), c.Quarantined)
	assert.Equal(t, uint64(3), c.LastSeq)
}

func TestProjection_PurgedCountSetBeforeFirstMessage(t *testing.T) {
	t.Parallel()
	p := newProjection(streamMade)
	p.notePurged(3)
	p.quarantine(room.Event{Seq: 5}, streamMade)
	p.notePurged(4)
	assert.Equal(t, new(uint64(3)), p.progress.purged, "what was purged since has been read")
	p.reset(streamMade, 0)
	assert.Nil(t, p.progress.purged)
	p.notePurged(4)
	assert.Equal(t, new(uint64(4)), p.progress.purged)
}
