package appworker

import (
	"context"

	"github.com/roombus/roombus/room"
)

// Handlers is an app made of functions, in place of a type with methods. It implements the interfaces
// whose fields are set; each function has the contract of the interface of that name. Run, Main and NewApp
// take it as a value.
type Handlers struct {
	PreRoomCreatePrevent func(ctx context.Context, e room.Create) error
	PreRoomCreateExtend  func(ctx context.Context, e room.Create) (room.Extension, error)
	PreRoomCreateModify  func(ctx context.Context, e room.Create) (room.Room, error)
	PostRoomCreate       func(ctx context.Context, e room.Created) error
	PreRoomDeletePrevent func(ctx context.Context, e room.Delete) error
	PostRoomDeleted      func(ctx context.Context, e room.Deleted) error
	PreRoomUserJoined    func(ctx context.Context, e room.UserJoin) error
	PostRoomUserJoined   func(ctx context.Context, e room.UserJoined) error
	PreRoomUserLeave     func(ctx context.Context, e room.UserLeave) error
	PostRoomUserLeave    func(ctx context.Context, e room.UserLeft) error

	PreRoomUpdatePrevent     func(ctx context.Context, e room.Update) error
	PostRoomUpdated          func(ctx context.Context, e room.Updated) error
	PreRoomUserUpdatePrevent func(ctx context.Context, e room.UserUpdate) error
	PostRoomUserUpdated      func(ctx context.Context, e room.UserUpdated) error
}

// handlersOf returns the methods of the handler that implement interfaces. A Handlers is returned as it is.
func handlersOf(handler any) (all Handlers) {
	if all, ok := handler.(Handlers); ok {
		return all
	}
	if h, ok := handler.(PreRoomCreatePrevent); ok {
		all.PreRoomCreatePrevent = h.PreRoomCreatePrevent
	}
	if h, ok := handler.(PreRoomCreateExtend); ok {
		all.PreRoomCreateExtend = h.PreRoomCreateExtend
	}
	if h, ok := handler.(PreRoomCreateModify); ok {
		all.PreRoomCreateModify = h.PreRoomCreateModify
	}
	if h, ok := handler.(PostRoomCreate); ok {
		all.PostRoomCreate = h.PostRoomCreate
	}
	if h, ok := handler.(PreRoomDeletePrevent); ok {
		all.PreRoomDeletePrevent = h.PreRoomDeletePrevent
	}
	if h, ok := handler.(PostRoomDeleted); ok {
		all.PostRoomDeleted = h.PostRoomDeleted
	}
	if h, ok := handler.(PreRoomUserJoined); ok {
		all.PreRoomUserJoined = h.PreRoomUserJoined
	}
	if h, ok := handler.(PostRoomUserJoined); ok {
		all.PostRoomUserJoined = h.PostRoomUserJoined
	}
	if h, ok := handler.(PreRoomUserLeave); ok {
		all.PreRoomUserLeave = h.PreRoomUserLeave
	}
	if h, ok := handler.(PostRoomUserLeave); ok {
		all.PostRoomUserLeave = h.PostRoomUserLeave
	}
	if h, ok := handler.(PreRoomUpdatePrevent); ok {
		all.PreRoomUpdatePrevent = h.PreRoomUpdatePrevent
	}
	if h, ok := handler.(PostRoomUpdated); ok {
		all.PostRoomUpdated = h.PostRoomUpdated
	}
	if h, ok := handler.(PreRoomUserUpdatePrevent); ok {
		all.PreRoomUserUpdatePrevent = h.PreRoomUserUpdatePrevent
	}
	if h, ok := handler.(PostRoomUserUpdated); ok {
		all.PostRoomUserUpdated = h.PostRoomUserUpdated
	}
	return all
}
