package roomsvc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// projection is the in-memory state of all rooms, made from the events of the stream. Events come
// from two sides: all of them in order from the stream, and the service's own commits as soon as
// they are acknowledged. Every event names the previous event of its room, so an event that comes
// from both sides is applied once.
type projection struct {
	mu     sync.RWMutex
	stream time.Time                       // when the stream was created
	rooms  map[string]*rules.State         // live and deleted; the last sequence of a deleted room guards its successor
	live   btree.Map[string, *rules.State] // live rooms by id, sorted
	dedupe dedupe

	deletions deletions // of rooms with history in the stream

	consumed    uint64 // the last sequence read from the stream
	newest      stamp  // of the message at consumed
	read        uint64 // number of messages read
	committed   uint64 // the highest sequence from a commit or a snapshot
	whole       uint64 // all rooms are known once consumed has reached this
	quarantined uint64 // messages up to consumed or counted, the higher of the two
	counted     uint64 // the snapshot has counted quarantined messages up to here
	sum         uint64 // of the hashes of all rooms
	// purged is the number of messages purged from the stream when it was last known to have the
	// events of every live room, nil if it never was.
	purged  *uint64
	resets  int
	waiting []waiting
}

// stamp identifies a message. A stream that lost its end may give the sequence to another message.
type stamp struct {
	id     string // of the event; may be empty if the message is no event
	stored time.Time
}

type waiting struct {
	seq     uint64
	reached chan struct{}
}

func newProjection(stream time.Time) *projection {
	return &projection{stream: stream, rooms: make(map[string]*rules.State)}
}

// view returns the room as a decision about the command needs it, and the sequence of the command's
// event if it is committed and remembered, otherwise 0.
func (p *projection) view(c rules.Command) (v rules.View, committed uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var never rules.State
	state := &never
	if s, ok := p.rooms[c.Request.Target()]; ok {
		state = s
	}
	return state.View(c.Request), p.dedupe.find(c.ID)
}

// commit applies an event that this service has just committed. It does nothing if the event has
// already come from the stream.
func (p *projection) commit(e room.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed = max(p.committed, e.Seq)
	if s := p.state(e.Room); s.Seq == e.Expected {
		_ = p.apply(s, e, time.Now()) // an event made by Decide and Combine for this state chains
	}
}

// consume applies the next event of the stream, stored at that time. If the event is quarantined it
// returns the reason.
func (p *projection) consume(e room.Event, stored time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.advance(e.Seq, stamp{e.ID, stored})
	s := p.state(e.Room)
	if e.Seq <= s.Seq {
		return nil // known from a commit or a snapshot
	}
	err := p.apply(s, e, stored)
	if err != nil {
		p.skip(e)
	}
	return err
}

// skipApplied moves past an event that is known from a commit or a snapshot. It returns false for
// any other message: a foreign message between two events of a room must be examined.
func (p *projection) skipApplied(roomID string, seq uint64, newest stamp) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.rooms[roomID]
	if !ok || seq > s.Seq || p.dedupe.find(newest.id) != seq {
		return false
	}
	p.advance(seq, newest)
	return true
}

// quarantine moves past a message that is no event, stored at that time. If its subject names a
// room, the room goes on behind it.
func (p *projection) quarantine(e room.Event, stored time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.advance(e.Seq, stamp{e.ID, stored})
	p.skip(e)
}

// skip moves past a message that is not applied.
func (p *projection) skip(e room.Event) {
	if e.Seq > p.counted {
		p.quarantined++
	}
	if e.Room == "" {
		return
	}
	s := p.state(e.Room)
	before := s.Hash(e.Room)
	s.Skip(e.Seq)
	p.sum += s.Hash(e.Room) - before
}

func (p *projection) apply(s *rules.State, e room.Event, stored time.Time) error {
	before := s.Hash(e.Room)
	if err := rules.Evolve(s, e); err != nil {
		return err
	}
	p.sum += s.Hash(e.Room) - before
	p.dedupe.add(e.ID, e.Seq, stored)
	switch e.Type {
	case room.EventCreate:
		p.live.Set(s.Room.ID, s)
	case room.EventDelete:
		p.live.Delete(e.Room)
		p.deletions = append(p.deletions, deletion{e.Room, e.Seq, s.DeletedAt})
	}
	return nil
}

// index sorts the live rooms of a projection that was read from a snapshot. Inserting them in the
// order of the map takes several times as long.
func (p *projection) index() {
	var ids []string
	for id, s := range p.rooms {
		if s.Room != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		p.live.Load(id, p.rooms[id])
	}
}

func (p *projection) state(roomID string) *rules.State {
	s, ok := p.rooms[roomID]
	if !ok {
		s = &rules.State{}
		p.rooms[strings.Clone(roomID)] = s // the id may be part of a message, which must not stay in memory
	}
	return s
}

// advance counts a message and wakes the goroutines that wait for its sequence.
func (p *projection) advance(seq uint64, newest stamp) {
	p.read++
	p.setConsumed(seq, newest)
}

func (p *projection) setConsumed(seq uint64, newest stamp) {
	p.consumed, p.newest = seq, newest
	still := p.waiting[:0]
	for _, w := range p.waiting {
		if w.seq <= seq {
			close(w.reached)
		} else {
			still = append(still, w)
		}
	}
	p.waiting = still
}

// awaitSeq returns when everything up to the sequence has been read from the stream, or an error
// when the context ends.
func (p *projection) awaitSeq(ctx context.Context, seq uint64) error {
	p.mu.Lock()
	if p.consumed >= seq {
		p.mu.Unlock()
		return nil
	}
	w := waiting{seq: seq, reached: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting = slices.DeleteFunc(p.waiting, func(o waiting) bool { return o.reached == w.reached })
		return ctx.Err()
	}
}

// missingMessages returns how many messages of the stream could not be read. It is 0 if the stream
// has grown since, or if the projection began with a snapshot.
func (p *projection) missingMessages(last, messages uint64) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.consumed != last || p.counted > 0 || p.read >= messages {
		return 0
	}
	return messages - p.read
}

// last returns the last sequence read from the stream.
func (p *projection) last() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.consumed
}

// highest returns the highest known sequence, from the stream, a commit or a snapshot.
func (p *projection) highest() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return max(p.consumed, p.committed)
}

// expire forgets commands that are old enough.
func (p *projection) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dedupe.expire(now)
}

// skipTo moves past the sequence, if the stream has no message left up to it.
func (p *projection) skipTo(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq > p.consumed {
		p.setConsumed(seq, stamp{})
	}
}

// notePurged records how many messages have been purged from the stream, if none has been read yet.
func (p *projection) notePurged(purged uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if max(p.consumed, p.committed) == 0 {
		p.purged = &purged
	}
}

// created returns when the stream was created.
func (p *projection) created() time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.stream
}

// reset drops everything, to read the stream from its start. The rooms are incomplete until the
// stream has been read up to whole, its last sequence.
func (p *projection) reset(stream time.Time, whole uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = stream
	p.rooms = make(map[string]*rules.State)
	p.live = btree.Map[string, *rules.State]{}
	p.dedupe = dedupe{}
	p.deletions = nil
	p.consumed, p.newest, p.committed, p.read, p.whole = 0, stamp{}, 0, 0, whole
	p.quarantined, p.counted, p.sum, p.purged = 0, 0, 0, nil
	p.resets++
}

// room returns a live room. Like the functions below it returns an error of code unavailable while
// the stream is being read again.
func (p *projection) room(id string) (room.Room, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, err := p.find(id)
	if err != nil {
		return room.Room{}, err
	}
	return *s.Room, nil
}

// roomsAfter returns up to limit live rooms with ids after id, in order.
func (p *projection) roomsAfter(id string, limit int) ([]room.Room, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.checkWhole(); err != nil {
		return nil, err
	}
	page := make([]room.Room, 0, min(limit, p.live.Len()))
	p.live.Ascend(id, func(key string, s *rules.State) bool {
		if key != id {
			page = append(page, *s.Room)
		}
		return len(page) < limit
	})
	return page, nil
}

// membersAfter returns up to limit members of a live room with ids after id, in order.
func (p *projection) membersAfter(roomID, id string, limit int) ([]room.User, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, err := p.find(roomID)
	if err != nil {
		return nil, err
	}
	return s.MembersAfter(id, limit), nil
}

func (p *projection) find(id string) (*rules.State, error) {
	if err := p.checkWhole(); err != nil {
		return nil, err
	}
	s, ok := p.live.Get(id)
	if !ok {
		return nil, room.NotFound(id)
	}
	return s, nil
}

func (p *projection) checkWhole() error {
	if p.consumed < p.whole {
		return room.Errorf(room.CodeUnavailable, "the stream is being read again: not all rooms are known yet")
	}
	return nil
}

// counts are the figures for operators.
type counts struct {
	rooms       int // live rooms
	deleted     int // deleted rooms with history in the stream
	quarantined uint64
	seq         uint64 // the last sequence read from the stream
	// hash is equal in all services with the same rooms. It is empty while a commit is known that
	// has not been read from the stream. So it is equal in all services with the same seq.
	hash string
}

func (p *projection) counts() counts {
	p.mu.RLock()
	defer p.mu.RUnlock()
	c := counts{rooms: p.live.Len(), deleted: len(p.rooms) - p.live.Len(), quarantined: p.quarantined, seq: p.consumed}
	if p.committed <= p.consumed {
		c.hash = fmt.Sprintf("%016x", p.sum)
	}
	return c
}
