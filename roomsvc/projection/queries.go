package projection

import (
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// Room returns a live room. The error is of code room_not_found if there is none. As for the other
// queries, it is of code unavailable while the stream is being read again.
func (p *Projection) Room(id string) (room.Room, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, err := p.find(id)
	if err != nil {
		return room.Room{}, err
	}
	return *s.Room, nil
}

// MembersAfter returns up to limit members of a live room with ids after id, in order. The error is
// of code room_not_found if there is no such room.
func (p *Projection) MembersAfter(roomID, id string, limit int) ([]room.User, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, err := p.find(roomID)
	if err != nil {
		return nil, err
	}
	return s.MembersAfter(id, limit), nil
}

func (p *Projection) find(id string) (*rules.State, error) {
	if err := p.progress.checkWhole(); err != nil {
		return nil, err
	}
	s, ok := p.rooms.index.byID.Get(id)
	if !ok {
		return nil, room.NotFound(id)
	}
	return s, nil
}
