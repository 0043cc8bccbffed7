package projection

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// message is a message of a stream that a test makes.
type message struct {
	event  room.Event
	none   bool // it is no event
	stored time.Time
}

func (m message) into(p *Projection) error {
	if m.none {
		p.quarantine(m.event, m.stored)
		return nil
	}
	return p.consume(m.event, m.stored)
}

var streamMade = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

// history is a stream, and a projection that has read all of it.
type history struct {
	messages []message
	all      *Projection
}

func newHistory() *history { return &history{all: newProjection(streamMade)} }

func (h *history) add(e room.Event, none bool) {
	e.Seq = uint64(len(h.messages) + 1)
	e.ID = "c" + strconv.FormatUint(e.Seq, 10)
	m := message{event: e, none: none, stored: time.Now()}
	h.messages = append(h.messages, m)
	_ = m.into(h.all) // it may be one to quarantine
}

// next returns the next event of a room whose last message has that sequence.
func (h *history) next(t require.TestingT, expected func(rules.View) uint64, r room.Request) (room.Event, bool) {
	v, _ := h.all.View(rules.Command{Request: r})
	draft, err := rules.Decide(v, rules.Command{Request: r, Time: streamMade})
	if draft == nil {
		return room.Event{}, false
	}
	require.NoError(t, err)
	data := draft.Final()
	return room.Event{Type: draft.Event, Room: r.Target(), Expected: expected(v), Previous: v.Latest, Version: data.Room.Version, Data: data}, true
}

func lastSeq(v rules.View) uint64 { return v.Seq }

func (h *history) does(t require.TestingT, r room.Request) {
	e, ok := h.next(t, lastSeq, r)
	require.True(t, ok)
	h.add(e, false)
}

// drawRequest draws a command for one of a few rooms and users.
func drawRequest(t *rapid.T) room.Request {
	id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "room")
	user := rapid.SampledFrom([]room.User{
		{ID: "u"},
		{ID: "ü ü", Username: "v", Name: "V <&>", Roles: []string{"admin"}},
		{ID: "w", Attributes: map[string]any{"badge": json.Number("9007199254740993")}},
	}).Draw(t, "user")
	name := rapid.SampledFrom([]string{"x", "x-1", "x:1", "y"}).Draw(t, "name")
	kind := rapid.SampledFrom(room.Types()).Draw(t, "type")
	return rapid.SampledFrom([]room.Request{
		room.CreateRequest{
			Room:    room.NewRoom{ID: id, SlugifiedName: name, Type: kind, CustomFields: map[string]any{"n": json.Number("1.0")}},
			Creator: user, Members: []room.User{{ID: "owner"}},
		},
		room.UpdateRequest{RoomID: id, Patch: room.Patch{"slugifiedName": name}},
		room.DeleteRequest{RoomID: id},
		room.JoinRequest{RoomID: id, User: user},
		room.UpdateMemberRequest{RoomID: id, User: room.Patch{"id": user.ID, "name": name}},
		room.LeaveRequest{RoomID: id, User: user},
	}).Draw(t, "request")
}

// drawHistory draws a stream that also has foreign messages.
func drawHistory(t *rapid.T) *history {
	h := newHistory()
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		r := drawRequest(t)
		switch rapid.SampledFrom([]string{"event", "event", "event", "event", "garbage", "no room", "unchained", "slipped in", "purged"}).Draw(t, "kind") {
		case "garbage":
			h.add(room.Event{Room: r.Target()}, true)
		case "no room":
			h.add(room.Event{}, true)
		case "unchained":
			if e, ok := h.next(t, func(v rules.View) uint64 { return v.Seq + 1 }, r); ok {
				h.add(e, false)
			}
		case "purged": // by an operator, and created again while this state has the room
			data := room.Data{Room: room.Room{ID: r.Target(), SlugifiedName: "z", Type: room.LiveChat}, Members: []room.User{{ID: "w"}}}
			h.add(room.Event{Type: room.EventCreate, Room: r.Target(), Version: 1, Data: data}, false)
		case "slipped in": // under the guard of an event
			if e, ok := h.next(t, lastSeq, r); ok {
				h.add(room.Event{Room: r.Target()}, true)
				h.add(e, false)
			}
		default:
			if e, ok := h.next(t, lastSeq, r); ok {
				h.add(e, false)
			}
		}
	}
	return h
}

// replica is a projection that reads a stream, and commits some of its events itself.
type replica struct {
	p        *Projection
	stream   []message
	consumed int // messages
	commits  int // it knows them by
}

func (r *replica) consume(n int) {
	for range min(n, len(r.stream)-r.consumed) {
		_ = r.stream[r.consumed].into(r.p)
		r.consumed++
	}
	r.commits = max(r.commits, r.consumed)
}

// commit applies up to n events before they are read from the stream.
func (r *replica) commit(n int) {
	for range min(n, len(r.stream)-r.commits) {
		if r.stream[r.commits].none {
			return
		}
		r.p.Commit(r.stream[r.commits].event)
		r.commits++
	}
}

// writing carries out a step of the plan at every write.
type writing struct {
	bytes.Buffer
	each func()
}

func (w *writing) Write(b []byte) (int, error) {
	w.each()
	return w.Buffer.Write(b)
}

// snapshotOf takes a snapshot while it carries out the plan: how many events are committed and how
// many messages are read between two writes.
func snapshotOf(t *rapid.T, r *replica, plan []int) []byte {
	w := newSnapshot(r.p)
	w.batch = 1
	var mu sync.Mutex // of the replica: a reader that was woken goes on while the rest is consumed
	file := writing{each: func() {
		mu.Lock()
		defer mu.Unlock()
		if len(plan) > 1 {
			r.commit(plan[0])
			r.consume(plan[1])
			plan = plan[2:]
		}
	}}
	written := make(chan error)
	go func() { written <- w.write(t.Context(), &file) }()
	for {
		select {
		case err := <-written:
			require.NoError(t, err)
			return file.Bytes()
		default:
		}
		r.p.mu.RLock()
		waits := len(r.p.progress.waiting) > 0
		r.p.mu.RUnlock()
		if waits { // for what it has committed to come from the stream
			mu.Lock()
			r.consume(r.commits - r.consumed)
			mu.Unlock()
		}
		runtime.Gosched()
	}
}

// A snapshot taken at any time, with the events behind it, results in the same projection as the
// whole stream.
func TestSnapshot_WithTailEqualsWholeStream(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		r := &replica{p: newProjection(streamMade), stream: h.messages}
		r.consume(rapid.IntRange(0, len(h.messages)).Draw(t, "before"))
		file := snapshotOf(t, r, rapid.SliceOfN(rapid.IntRange(0, 4), 0, 60).Draw(t, "plan"))

		p, tail, err := readSnapshot(bytes.NewReader(file))
		require.NoError(t, err)
		upToTail := &replica{p: newProjection(streamMade), stream: h.messages}
		upToTail.consume(int(tail.Seq))
		require.Equal(t, upToTail.p.Stats().Quarantined, p.Stats().Quarantined)
		for _, m := range h.messages[:tail.Seq] {
			require.Equal(t, h.all.rooms.dedupe.find(m.event.ID), p.rooms.dedupe.find(m.event.ID), "a command is remembered before the tail is read")
		}
		same(t, h, p)
	})
}

// same reads the rest of the history into the projection, and compares the two.
func same(t *rapid.T, h *history, p *Projection) {
	on := &replica{p: p, stream: h.messages, consumed: int(p.Last())}
	on.consume(len(h.messages))
	require.Equal(t, h.all.Stats(), p.Stats())
	require.NotEmpty(t, p.Stats().Hash)
	for id, want := range h.all.rooms.byID {
		is, err := p.rooms.byID[id].AppendBinary(nil)
		require.NoError(t, err)
		must, err := want.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, must, is, id)
	}
	requireIndexed(t, h.all.rooms)
	requireIndexed(t, p.rooms)
	for _, m := range h.messages {
		require.Equal(t, h.all.rooms.dedupe.find(m.event.ID), p.rooms.dedupe.find(m.event.ID), m.event.ID)
	}
}

// A service that starts from a snapshot removes the histories of deleted rooms too.
func TestSnapshot_KeepsDeletions(t *testing.T) {
	t.Parallel()
	before := newProjection(streamMade)
	read(t, before, 1, 0, "a", room.EventCreate, room.EventDelete)
	read(t, before, 3, 0, "b", room.EventCreate, room.EventDelete)
	read(t, before, 5, 4, "b", room.EventCreate)
	var file bytes.Buffer
	require.NoError(t, newSnapshot(before).write(t.Context(), &file))
	p, _, err := readSnapshot(&file)
	require.NoError(t, err)
	assert.Equal(t, before.rooms.deletions, p.rooms.deletions)
	p.Forget("a", 2)
	before.Forget("a", 2)
	assert.NotContains(t, p.rooms.byID, "a")
	assert.Equal(t, before.Stats(), p.Stats(), "the hash is without it")
}
