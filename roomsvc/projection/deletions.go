package projection

import (
	"cmp"
	"slices"
	"time"
)

// Deletion is the delete event of a room.
type Deletion struct {
	Room string
	Seq  uint64
	at   time.Time
}

// deletions are roughly in the order of their sequences: a deletion that this service has committed
// may stand before an earlier one that it reads a little later.
type deletions []Deletion

// Due returns the oldest deletion. It reports whether that was before the time and every event up
// to it may be removed: floor has passed it, and the projection has read it. Events of the room
// that are yet to be read would not chain after the room is forgotten.
func (p *Projection) Due(before time.Time, floor uint64) (Deletion, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.rooms.deletions) == 0 {
		return Deletion{}, false
	}
	d := p.rooms.deletions[0]
	return d, d.at.Before(before) && d.Seq <= min(floor, p.progress.consumed)
}

// Removed records that the history of a deleted room has left the stream.
func (p *Projection) Removed(d Deletion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.rooms.deletions) > 0 && p.rooms.deletions[0] == d { // a reset may have come in between
		p.rooms.deletions = p.rooms.deletions[1:]
	}
	if len(p.rooms.deletions) == 0 {
		p.rooms.deletions = nil
	}
	p.rooms.drop(d.Room, d.Seq)
}

// Forget drops a deleted room whose history has left the stream.
func (p *Projection) Forget(roomID string, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rooms.drop(roomID, seq)
}

// drop removes every trace of a room if this deletion is its last event.
func (r *rooms) drop(roomID string, seq uint64) {
	if s, ok := r.byID[roomID]; ok && s.Room == nil && s.Applied == seq && s.Seq == seq {
		r.sum -= s.Hash(roomID)
		delete(r.byID, roomID) // the map keeps about 35 bytes for the next room
	}
}

// recall rebuilds the list of deletions of rooms that were read from a snapshot.
func (r *rooms) recall() {
	for id, s := range r.byID {
		if !s.DeletedAt.IsZero() {
			r.deletions = append(r.deletions, Deletion{id, s.Latest.Delete, s.DeletedAt})
		}
	}
	slices.SortFunc(r.deletions, func(a, b Deletion) int { return cmp.Compare(a.Seq, b.Seq) })
}

// ended reports whether a room was deleted at this sequence.
func (r *rooms) ended(seq uint64) bool {
	return slices.ContainsFunc(r.deletions, func(d Deletion) bool { return d.Seq == seq })
}
