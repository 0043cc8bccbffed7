package roomsvc

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

// due returns the oldest deletion. It reports whether that was before the time and every event up
// to it may be removed: floor has passed it, and the projection has read it. Events of the room
// that are yet to be read would not chain after the room is forgotten.
func (p *projection) due(before time.Time, floor uint64) (deletion, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.deletions) == 0 {
		return deletion{}, false
	}
	d := p.deletions[0]
	return d, d.at.Before(before) && d.seq <= min(floor, p.consumed)
}

// removed records that the history of a deleted room has left the stream.
func (p *projection) removed(d deletion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.deletions) > 0 && p.deletions[0] == d { // a reset may have come in between
		p.deletions = p.deletions[1:]
	}
	if len(p.deletions) == 0 {
		p.deletions = nil
	}
	p.drop(d.room, d.seq)
}

// forget drops a deleted room whose history has left the stream.
func (p *projection) forget(roomID string, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(roomID, seq)
}

// drop removes every trace of a room if this deletion is its last event.
func (p *projection) drop(roomID string, seq uint64) {
	if s, ok := p.rooms[roomID]; ok && s.Room == nil && s.Applied == seq && s.Seq == seq {
		p.sum -= s.Hash(roomID)
		delete(p.rooms, roomID) // the map keeps about 35 bytes for the next room
	}
}

// recall rebuilds the list of deletions in a projection that was read from a snapshot.
func (p *projection) recall() {
	for id, s := range p.rooms {
		if !s.DeletedAt.IsZero() {
			p.deletions = append(p.deletions, deletion{id, s.Latest.Delete, s.DeletedAt})
		}
	}
	slices.SortFunc(p.deletions, func(a, b deletion) int { return cmp.Compare(a.seq, b.seq) })
}

// ended reports whether a room was deleted at this sequence.
func (p *projection) ended(seq uint64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.ContainsFunc(p.deletions, func(d deletion) bool { return d.seq == seq })
}
