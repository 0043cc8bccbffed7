package appworker

import (
	"context"

	"github.com/roombus/roombus/room"
)

// PreRoomCreatePrevent is asked before a room is created, before the other creation interfaces. All apps
// are asked concurrently.
type PreRoomCreatePrevent interface {
	PreRoomCreatePrevent(ctx context.Context, e room.Create) error
}

// PreRoomCreateExtend adds custom fields and members to a room before it is created. It cannot overwrite:
// a custom field that already exists is a conflict, and the whole extension is dropped.
type PreRoomCreateExtend interface {
	PreRoomCreateExtend(ctx context.Context, e room.Create) (room.Extension, error)
}

// PreRoomCreateModify modifies a room before it is created. It receives the room with the changes of the
// previous apps, and returns the modified room. That room is stored exactly as returned: a nil in a
// custom field is stored as null. id, createdAt, memberCount and version cannot be changed.
type PreRoomCreateModify interface {
	PreRoomCreateModify(ctx context.Context, e room.Create) (room.Room, error)
}

// PostRoomCreate is told that a room has been created.
type PostRoomCreate interface {
	PostRoomCreate(ctx context.Context, e room.Created) error
}

// PreRoomDeletePrevent is asked before a room is deleted.
type PreRoomDeletePrevent interface {
	PreRoomDeletePrevent(ctx context.Context, e room.Delete) error
}

// PostRoomDeleted is told that a room has been deleted.
type PostRoomDeleted interface {
	PostRoomDeleted(ctx context.Context, e room.Deleted) error
}

// PreRoomUserJoined is asked before a user joins a room.
type PreRoomUserJoined interface {
	PreRoomUserJoined(ctx context.Context, e room.UserJoin) error
}

// PostRoomUserJoined is told that a user has joined a room.
type PostRoomUserJoined interface {
	PostRoomUserJoined(ctx context.Context, e room.UserJoined) error
}

// PreRoomUserLeave is asked before a user leaves a room.
type PreRoomUserLeave interface {
	PreRoomUserLeave(ctx context.Context, e room.UserLeave) error
}

// PostRoomUserLeave is told that a user has left a room.
type PostRoomUserLeave interface {
	PostRoomUserLeave(ctx context.Context, e room.UserLeft) error
}

// PreRoomUpdatePrevent is asked before a room is changed.
type PreRoomUpdatePrevent interface {
	PreRoomUpdatePrevent(ctx context.Context, e room.Update) error
}

// PostRoomUpdated is told that a room has been changed.
type PostRoomUpdated interface {
	PostRoomUpdated(ctx context.Context, e room.Updated) error
}

// PreRoomUserUpdatePrevent is asked before a member of a room is changed.
type PreRoomUserUpdatePrevent interface {
	PreRoomUserUpdatePrevent(ctx context.Context, e room.UserUpdate) error
}

// PostRoomUserUpdated is told that a member of a room has been changed.
type PostRoomUserUpdated interface {
	PostRoomUserUpdated(ctx context.Context, e room.UserUpdated) error
}
