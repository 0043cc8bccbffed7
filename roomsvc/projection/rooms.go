package projection

import (
	"slices"
	"strings"
	"time"

	"github.com/tidwall/btree"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// rooms is the state of all rooms. It has no lock of its own.
type rooms struct {
	byID      map[string]*rules.State         // live and deleted; the last sequence of a deleted room guards its successor
	live      btree.Map[string, *rules.State] // live rooms by id, sorted
	dedupe    dedupe
	deletions deletions // of rooms with history in the stream
	sum       uint64    // of the hashes of all rooms
}

func newRooms() rooms { return rooms{byID: make(map[string]*rules.State)} }

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
	before := s.Hash(e.Room)
	if err := rules.Evolve(s, e); err != nil {
		return err
	}
	r.sum += s.Hash(e.Room) - before
	r.dedupe.add(e.ID, e.Seq, stored)
	switch e.Type {
	case room.EventCreate:
		r.live.Set(s.Room.ID, s)
	case room.EventDelete:
		r.live.Delete(e.Room)
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

// index sorts the live rooms that were read from a snapshot. Inserting them in the order of the map
// takes several times as long.
func (r *rooms) index() {
	var ids []string
	for id, s := range r.byID {
		if s.Room != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		r.live.Load(id, r.byID[id])
	}
}

// liveEvents counts the events of the live rooms, and returns the highest of their sequences. If
// before is not 0 it counts only rooms whose last event is before that sequence.
func (r *rooms) liveEvents(before uint64) (events, last uint64) {
	r.live.Scan(func(_ string, s *rules.State) bool {
		if before == 0 || s.Seq < before {
			events += s.Room.Version
		}
		last = max(last, s.Seq)
		return true
	})
	return events, last
}
