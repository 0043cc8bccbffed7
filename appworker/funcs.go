package appworker

import (
	"context"

	"github.com/roombus/roombus/room"
)

// Each function type below adapts a function to one interface.

// PreRoomCreatePreventFunc is a function that implements PreRoomCreatePrevent.
type PreRoomCreatePreventFunc func(ctx context.Context, e room.Create) error

// PreRoomCreatePrevent calls f.
func (f PreRoomCreatePreventFunc) PreRoomCreatePrevent(ctx context.Context, e room.Create) error {
	return f(ctx, e)
}

// PreRoomCreateExtendFunc is a function that implements PreRoomCreateExtend.
type PreRoomCreateExtendFunc func(ctx context.Context, e room.Create) (room.Extension, error)

// PreRoomCreateExtend calls f.
func (f PreRoomCreateExtendFunc) PreRoomCreateExtend(ctx context.Context, e room.Create) (room.Extension, error) {
	return f(ctx, e)
}

// PreRoomCreateModifyFunc is a function that implements PreRoomCreateModify.
type PreRoomCreateModifyFunc func(ctx context.Context, e room.Create) (room.Room, error)

// PreRoomCreateModify calls f.
func (f PreRoomCreateModifyFunc) PreRoomCreateModify(ctx context.Context, e room.Create) (room.Room, error) {
	return f(ctx, e)
}

// PostRoomCreateFunc is a function that implements PostRoomCreate.
type PostRoomCreateFunc func(ctx context.Context, e room.Created) error

// PostRoomCreate calls f.
func (f PostRoomCreateFunc) PostRoomCreate(ctx context.Context, e room.Created) error {
	return f(ctx, e)
}

// PreRoomDeletePreventFunc is a function that implements PreRoomDeletePrevent.
type PreRoomDeletePreventFunc func(ctx context.Context, e room.Delete) error

// PreRoomDeletePrevent calls f.
func (f PreRoomDeletePreventFunc) PreRoomDeletePrevent(ctx context.Context, e room.Delete) error {
	return f(ctx, e)
}

// PostRoomDeletedFunc is a function that implements PostRoomDeleted.
type PostRoomDeletedFunc func(ctx context.Context, e room.Deleted) error

// PostRoomDeleted calls f.
func (f PostRoomDeletedFunc) PostRoomDeleted(ctx context.Context, e room.Deleted) error {
	return f(ctx, e)
}

// PreRoomUserJoinedFunc is a function that implements PreRoomUserJoined.
type PreRoomUserJoinedFunc func(ctx context.Context, e room.UserJoin) error

// PreRoomUserJoined calls f.
func (f PreRoomUserJoinedFunc) PreRoomUserJoined(ctx context.Context, e room.UserJoin) error {
	return f(ctx, e)
}

// PostRoomUserJoinedFunc is a function that implements PostRoomUserJoined.
type PostRoomUserJoinedFunc func(ctx context.Context, e room.UserJoined) error

// PostRoomUserJoined calls f.
func (f PostRoomUserJoinedFunc) PostRoomUserJoined(ctx context.Context, e room.UserJoined) error {
	return f(ctx, e)
}

// PreRoomUserLeaveFunc is a function that implements PreRoomUserLeave.
type PreRoomUserLeaveFunc func(ctx context.Context, e room.UserLeave) error

// PreRoomUserLeave calls f.
func (f PreRoomUserLeaveFunc) PreRoomUserLeave(ctx context.Context, e room.UserLeave) error {
	return f(ctx, e)
}

// PostRoomUserLeaveFunc is a function that implements PostRoomUserLeave.
type PostRoomUserLeaveFunc func(ctx context.Context, e room.UserLeft) error

// PostRoomUserLeave calls f.
func (f PostRoomUserLeaveFunc) PostRoomUserLeave(ctx context.Context, e room.UserLeft) error {
	return f(ctx, e)
}
