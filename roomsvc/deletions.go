package roomsvc

import (
	"cmp"
	"slices"
	"time"
)

// deletion is the end of a room.
type deletion struct {
	room string
	seq  uint64
	at   time.Time
}

// deletions are in the order in which they happened, as near as makes no difference: one that
// this service has committed may stand before another's that it has read a little later.
type deletions []deletion

// due is the oldest deletion, if it was before that time and everything up to the sequence may
// go. What the stream has yet to bring of the room would not fit once the room is forgotten.
func (p *projection) due(before time.Time, floor uint64) (deletion, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.deletions) == 0 {
		return deletion{}, false
	}
	d := p.deletions[0]
	return d, d.at.Before(before) && d.seq <= min(floor, p.consumed)
}

// removed takes note that the stream has nothing left of the room up to its deletion.
func (p *projection) removed(d deletion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.deletions) > 0 && p.deletions[0] == d { // reading anew may have come between
		p.deletions = p.deletions[1:]
	}
	if len(p.deletions) == 0 {
		p.deletions = nil
	}
	p.drop(d.room, d.seq)
}

// forget drops a deleted room of which the stream has nothing left.
func (p *projection) forget(roomID string, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(roomID, seq)
}

// drop makes a room as if it had never been, if this deletion is the last that happened to it.
func (p *projection) drop(roomID string, seq uint64) {
	if s, ok := p.rooms[roomID]; ok && s.Room == nil && s.Applied == seq && s.Seq == seq {
		p.sum -= s.Hash(roomID)
		delete(p.rooms, roomID) // the map keeps some 35 bytes, for the next room
	}
}

// recall finds the deletions again whose histories the stream may still have, in a projection
// that has not come from there.
func (p *projection) recall() {
	for id, s := range p.rooms {
		if !s.DeletedAt.IsZero() {
			p.deletions = append(p.deletions, deletion{id, s.Latest.Delete, s.DeletedAt})
		}
	}
	slices.SortFunc(p.deletions, func(a, b deletion) int { return cmp.Compare(a.seq, b.seq) })
}

// ended reports whether a room ended at this sequence.
func (p *projection) ended(seq uint64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.ContainsFunc(p.deletions, func(d deletion) bool { return d.seq == seq })
}
