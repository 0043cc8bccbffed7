package roomsvc

import (
	"context"
	"encoding/json"

	"github.com/roombus/roombus/room"
)

// pageBytes is when a page is full whatever its limit: a page must fit one message.
const pageBytes = 512 << 10

func (s *Service) getRoom(_ context.Context, r room.GetRequest) (any, error) {
	record, ok := s.projection.room(r.RoomID)
	if !ok {
		return nil, room.NotFound(r.RoomID)
	}
	return record, nil
}

func (s *Service) listRooms(_ context.Context, r room.ListRequest) (any, error) {
	limit := room.PageSize(r.Limit)
	rooms, more := fit(s.projection.roomsAfter(r.Cursor, limit+1), limit)
	page := room.Page{Rooms: rooms}
	if more {
		page.Cursor = rooms[len(rooms)-1].ID
	}
	return page, nil
}

func (s *Service) listMembers(_ context.Context, r room.MembersRequest) (any, error) {
	limit := room.PageSize(r.Limit)
	members, ok := s.projection.membersAfter(r.RoomID, r.Cursor, limit+1)
	if !ok {
		return nil, room.NotFound(r.RoomID)
	}
	members, more := fit(members, limit)
	page := room.MemberPage{Members: members}
	if more {
		page.Cursor = members[len(members)-1].ID
	}
	return page, nil
}

// fit cuts items to the limit and to what fits a page, but to no less than one, and reports
// whether anything was cut off.
func fit[T any](items []T, limit int) (page []T, more bool) {
	size := 0
	for n, item := range items {
		data, _ := json.Marshal(item) // it came as JSON
		size += len(data)
		if n == limit || n > 0 && size > pageBytes {
			return items[:n], true
		}
	}
	if items == nil {
		items = []T{}
	}
	return items, false
}

func (s *Service) registerApp(ctx context.Context, m room.Manifest) (any, error) {
	if err := s.ensureDurable(ctx, m); err != nil {
		return nil, room.Errorf(room.CodeUnavailable, "%v", err)
	}
	stored, err := s.apps.put(ctx, m)
	if err != nil {
		return nil, room.Errorf(room.CodeUnavailable, "%v", err)
	}
	s.log.Info("registered", "app", stored.ID, "version", stored.Version, "implements", stored.Implements)
	return stored, nil
}

func (s *Service) listApps(_ context.Context, r room.AppRequest) (any, error) {
	if r.ID == "" {
		return s.apps.list(), nil
	}
	m, err := s.app(r.ID)
	return []room.Manifest{m}, err
}

func (s *Service) appInfo(_ context.Context, r room.AppRequest) (any, error) {
	if err := room.ValidateToken("id", r.ID); err != nil {
		return nil, err
	}
	return s.app(r.ID)
}

func (s *Service) app(id string) (room.Manifest, error) {
	m, ok := s.apps.get(id)
	if !ok {
		return m, room.Errorf(room.CodeAppNotFound, "there is no app %q", id)
	}
	return m, nil
}
