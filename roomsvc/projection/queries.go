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

// RoomsAfter returns up to limit live rooms with ids after id, in order.
func (p *Projection) RoomsAfter(id string, limit int) ([]room.Room, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.progress.checkWhole(); err != nil {
		return nil, err
	}
	page := make([]room.Room, 0, min(limit, p.rooms.live.Len()))
	p.rooms.live.Ascend(id, func(key string, s *rules.State) bool {
		if key != id {
			page = append(page, *s.Room)
		}
		return len(page) < limit
	})
	return page, nil
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
	s, ok := p.rooms.live.Get(id)
	if !ok {
		return nil, room.NotFound(id)
	}
	return s, nil
}
