package roomsvc

import (
	"context"
	"encoding/json"

	"github.com/roombus/roombus/room"
)

// pageBytes is the size at which a page is full, below its limit too: a page must fit one message.
const pageBytes = 512 << 10

func (es *endpoints) getRoom(_ context.Context, r room.GetRequest) (any, error) {
	return es.projection.Room(r.RoomID)
}

func (es *endpoints) listRooms(_ context.Context, r room.ListRequest) (any, error) {
	limit := room.PageSize(r.Limit)
	rooms, err := es.projection.RoomsAfter(r.Cursor, limit+1)
	if err != nil {
		return nil, err
	}
	rooms, more := fit(rooms, limit)
	page := room.Page{Rooms: rooms}
	if more {
		page.Cursor = rooms[len(rooms)-1].ID
	}
	return page, nil
}

func (es *endpoints) listMembers(_ context.Context, r room.MembersRequest) (any, error) {
	limit := room.PageSize(r.Limit)
	members, err := es.projection.MembersAfter(r.RoomID, r.Cursor, limit+1)
	if err != nil {
		return nil, err
	}
	members, more := fit(members, limit)
	page := room.MemberPage{Members: members}
	if more {
		page.Cursor = members[len(members)-1].ID
	}
	return page, nil
}

// fit cuts items to the limit and to the size of a page, but to at least one item. It reports
// whether it cut any off.
func fit[T any](items []T, limit int) (page []T, more bool) {
	size := 0
	for n, item := range items {
		data, _ := json.Marshal(item) // it was decoded from JSON
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
