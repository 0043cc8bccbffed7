package projection

import (
	"strings"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// rooms is the state of all rooms. It has no lock of its own.
type rooms struct {
	byID      map[string]*rules.State // live and deleted; the last sequence of a deleted room guards its successor
	index     index                   // of the live rooms
	dedupe    dedupe
	deletions deletions // of rooms with history in the stream
	sum       uint64    // of the hashes of all rooms
}

func newRooms() rooms { return rooms{byID: make(map[string]*rules.State), index: newIndex()} }

func (r *rooms) state(id string) *rules.State {
	s, ok := r.byID[id]
	if !ok {
		s = &rules.State{}
		r.byID[strings.Clone(id)] = s // the id may be part of a message, which must not stay in memory
	}
	return s
}

// apply applies an event to the state of its room.
func (r *rooms) apply(s *rules.State, e room.Event, stored time.Time) error {
	before, was := s.Hash(e.Room), s
	switch {
	case e.Type == room.EventUpdate: // before the record changes; a refused event leaves the index as it was
		r.index.removeName(s)
		defer r.index.addName(s)
	case s.Room != nil && (e.Type == room.EventCreate || e.Type == room.EventDelete):
		s = new(*s) // the index keeps the state as it was for a while
	}
	if err := rules.Evolve(s, e); err != nil {
		return err
	}
	if s != was {
		r.byID[strings.Clone(e.Room)] = s // as in state
		r.index.remove(was)
	}
	r.index.sweep()
	r.sum += s.Hash(e.Room) - before
	r.dedupe.add(e.ID, e.Seq, stored)
	switch e.Type {
	case room.EventCreate:
		r.index.add(s)
	case room.EventUserJoin:
		r.index.join(e.Data.JoiningUser.ID, s)
	case room.EventUserLeave:
		r.index.leave(e.Data.LeavingUser.ID, s)
	case room.EventDelete:
		r.deletions = append(r.deletions, deletion{e.Room, e.Seq, s.DeletedAt})
	}
	return nil
}

// skip moves the room past a message that is not applied.
func (r *rooms) skip(id string, seq uint64) {
	s := r.state(id)
	before := s.Hash(id)
	s.Skip(seq)
	r.sum += s.Hash(id) - before
}

// liveEvents counts the events of the live rooms, and returns the highest of their sequences. If
// before is not 0 it counts only rooms whose last event is before that sequence.
func (r *rooms) liveEvents(before uint64) (events, last uint64) {
	r.index.byID.Scan(func(_ string, s *rules.State) bool {
		if before == 0 || s.Seq < before {
			events += s.Room.Version
		}
		last = max(last, s.Seq)
		return true
	})
	return events, last
}
