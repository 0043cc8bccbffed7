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
)

// projection is the state of all rooms as the stream has made it, in memory. Events come
// from two sides: from the stream, all of them and in order, and from this service's own
// commits, each as soon as it is acknowledged. Because every event names the one before it
// in its room, an event that comes from both sides is applied once.
type projection struct {
	mu     sync.RWMutex
	stream time.Time                      // when the stream was created
	rooms  map[string]*room.State         // live and deleted: a deleted room's last sequence guards its successor
	live   btree.Map[string, *room.State] // the live ones, in the order of their ids
	dedupe dedupe

	deletions deletions // whose rooms' histories the stream may still have

	consumed    uint64 // the last sequence that came from the stream
	newest      stamp  // of the message that has it
	read        uint64 // how many messages came
	committed   uint64 // the highest that came otherwise: as a commit, or in a snapshot
	whole       uint64 // where consumed must be for the rooms to be all there
	quarantined uint64 // messages up to consumed, or up to counted if that is more
	counted     uint64 // up to here a snapshot has counted them
	sum         uint64 // of the hashes of all rooms
	// purged is how many messages had been purged from the stream when it was last known to have the
	// events of every live room; nil if it never was.
	purged  *uint64
	resets  int
	waiting []waiting
}

// stamp tells a message from another that had its sequence in a stream that lost its end.
type stamp struct {
	id     string // of the event; may be empty if it is none
	stored time.Time
}

type waiting struct {
	seq     uint64
	reached chan struct{}
}

func newProjection(stream time.Time) *projection {
	return &projection{stream: stream, rooms: make(map[string]*room.State)}
}

// view is what a decision about the command rests on, and the sequence of the event that the
// command has made already, 0 if there is none that is known.
func (p *projection) view(c room.Command) (v room.View, committed uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var never room.State
	state := &never
	if s, ok := p.rooms[c.Request.Target()]; ok {
		state = s
	}
	return state.View(c.Request), p.dedupe.find(c.ID)
}

// commit applies an event that this service has just committed. If the stream was faster it
// is there already.
func (p *projection) commit(e room.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed = max(p.committed, e.Seq)
	if s := p.state(e.Room); s.Seq == e.Expected {
		_ = p.apply(s, e, time.Now()) // an event just made by Decide and Combine can follow
	}
}

// consume applies the next event of the stream, stored at that time. The error says why it
// was quarantined instead.
func (p *projection) consume(e room.Event, stored time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.advance(e.Seq, stamp{e.ID, stored})
	s := p.state(e.Room)
	if e.Seq <= s.Seq {
		return nil // came as a commit, or in a snapshot
	}
	err := p.apply(s, e, stored)
	if err != nil {
		p.skip(e)
	}
	return err
}

// passed moves past an event that came as a commit, or in a snapshot. It reports whether it is one:
// what somebody else has put between two of a room's events must still be looked at.
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

// quarantine moves past a message of the stream that is no event, stored at that time. The
// room, if the subject has one, goes on behind it.
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

func (p *projection) apply(s *room.State, e room.Event, stored time.Time) error {
	before := s.Hash(e.Room)
	if err := room.Evolve(s, e); err != nil {
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

// index puts the live rooms in order, in a projection that has not come from the stream. One
// after the other in the order of a map they would take several times as long.
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

func (p *projection) state(roomID string) *room.State {
	s, ok := p.rooms[roomID]
	if !ok {
		s = &room.State{}
		p.rooms[strings.Clone(roomID)] = s // it may be part of a message
	}
	return s
}

// advance wakes whoever waits for the sequence.
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

// reach returns when everything up to the sequence has come from the stream.
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

// unread is how many of the messages that the stream has did not come, 0 if it has gone on, or
// if what came before a snapshot is not known.
func (p *projection) missingMessages(last, messages uint64) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.consumed != last || p.counted > 0 || p.read >= messages {
		return 0
	}
	return messages - p.read
}

// last is the last sequence that came from the stream.
func (p *projection) last() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.consumed
}

// highest is the highest sequence that is known, from the stream or otherwise.
func (p *projection) highest() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return max(p.consumed, p.committed)
}

// expire forgets the commands that need not be remembered any more.
func (p *projection) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dedupe.expire(now)
}

// pass goes on to the sequence: of what comes before it the stream has nothing left.
func (p *projection) skipTo(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq > p.consumed {
		p.setConsumed(seq, stamp{})
	}
}

// begin takes note of how many messages have been purged from the stream, if none has been read yet.
func (p *projection) notePurged(purged uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if max(p.consumed, p.committed) == 0 {
		p.purged = &purged
	}
}

// created is when the stream was.
func (p *projection) created() time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.stream
}

// reset forgets everything, to read the stream from its start. Until that has come to the
// sequence, the stream's last, it is not known which rooms there are.
func (p *projection) reset(stream time.Time, whole uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = stream
	p.rooms = make(map[string]*room.State)
	p.live = btree.Map[string, *room.State]{}
	p.dedupe = dedupe{}
	p.deletions = nil
	p.consumed, p.newest, p.committed, p.read, p.whole = 0, stamp{}, 0, 0, whole
	p.quarantined, p.counted, p.sum, p.purged = 0, 0, 0, nil
	p.resets++
}

// room is a live room's record. Like what follows it returns an error of code unavailable
// while the stream is being read anew.
func (p *projection) room(id string) (room.Room, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, err := p.find(id)
	if err != nil {
		return room.Room{}, err
	}
	return *s.Room, nil
}

// roomsAfter is up to limit live rooms whose ids come after id, in order.
func (p *projection) roomsAfter(id string, limit int) ([]room.Room, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.checkWhole(); err != nil {
		return nil, err
	}
	page := make([]room.Room, 0, min(limit, p.live.Len()))
	p.live.Ascend(id, func(key string, s *room.State) bool {
		if key != id {
			page = append(page, *s.Room)
		}
		return len(page) < limit
	})
	return page, nil
}

// membersAfter is up to limit members of a live room whose ids come after id, in order.
func (p *projection) membersAfter(roomID, id string, limit int) ([]room.User, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, err := p.find(roomID)
	if err != nil {
		return nil, err
	}
	return s.MembersAfter(id, limit), nil
}

func (p *projection) find(id string) (*room.State, error) {
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
		return room.Errorf(room.CodeUnavailable, "the stream is being read anew: not all rooms are known yet")
	}
	return nil
}

// counts are the figures for operators.
type counts struct {
	rooms       int // live ones
	deleted     int // ones whose history is still there
	quarantined uint64
	seq         uint64 // the last that came from the stream
	// hash is the same in every service that has the same rooms. It is empty while there is more
	// in the projection than what has come from the stream, which is for moments: so it is the
	// same in all services that have one and the same seq.
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
