package roomsvc

import (
	"context"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/projection"
)

func (es *endpoints) getRoom(_ context.Context, r room.GetRequest) (any, error) {
	return es.projection.Room(r.RoomID)
}

// listRooms returns the encoding of a room.Page.
func (es *endpoints) listRooms(_ context.Context, r room.ListRequest) (body, error) {
	rooms, next, err := es.projection.List(r)
	if err != nil {
		return nil, err
	}
	return encodePage("rooms", rooms, func(n int) string {
		if n == len(rooms) {
			return next
		}
		return projection.CursorAfter(r, rooms[n-1])
	})
}

// listMembers returns the encoding of a room.MemberPage.
func (es *endpoints) listMembers(_ context.Context, r room.MembersRequest) (body, error) {
	limit := room.PageSize(r.Limit)
	members, err := es.projection.MembersAfter(r.RoomID, r.Cursor, limit+1)
	if err != nil {
		return nil, err
	}
	return encodePage("members", members[:min(limit, len(members))], func(n int) string {
		if n == len(members) {
			return ""
		}
		return members[n-1].ID
	})
}
