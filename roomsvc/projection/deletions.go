package projection

import (
	"cmp"
	"slices"
	"time"
)

// deletion is the delete event of a room.
type deletion struct {
	room string
	seq  uint64
	at   time.Time
}

// deletions are roughly in the order of their sequences: a deletion that this service has committed
// may stand before an earlier one that it reads a little later.
type deletions []deletion

// Due returns the oldest deletion. It reports whether that was before the time and every event up
// to it may be removed: floor has passed it, and the projection has read it. Events of the room
// that are yet to be read would not chain after the room is forgotten.
func (p *Projection) Due(before time.Time, floor uint64) (roomID string, seq uint64, due bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.rooms.deletions) == 0 {
		return "", 0, false
	}
	d := p.rooms.deletions[0]
	return d.room, d.seq, d.at.Before(before) && d.seq <= min(floor, p.progress.consumed)
}

// Forget drops a room that was deleted at the sequence and whose history has left the stream.
func (p *Projection) Forget(roomID string, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.rooms.deletions; len(d) > 0 && d[0].room == roomID && d[0].seq == seq { // a reset may have come in between
		p.rooms.deletions = d[1:]
	}
	if len(p.rooms.deletions) == 0 {
		p.rooms.deletions = nil
	}
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
			r.deletions = append(r.deletions, deletion{id, s.Latest.Delete, s.DeletedAt})
		}
	}
	slices.SortFunc(r.deletions, func(a, b deletion) int { return cmp.Compare(a.seq, b.seq) })
}

// ended reports whether a room was deleted at this sequence.
func (r *rooms) ended(seq uint64) bool {
	return slices.ContainsFunc(r.deletions, func(d deletion) bool { return d.seq == seq })
}
