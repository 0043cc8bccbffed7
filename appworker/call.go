package appworker

import (
	"context"
	"math"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// RoomService is what a handler can ask of the room service. It is a *roomclient.Client when
// a worker runs the handler, and what the test says when appworkertest does.
type RoomService interface {
	Get(ctx context.Context, roomID string) (room.Room, error)
	Members(ctx context.Context, r room.MembersRequest) (room.MemberPage, error)
	Create(ctx context.Context, r room.CreateRequest, opts ...roomclient.Option) (room.Result, error)
	Delete(ctx context.Context, r room.DeleteRequest, opts ...roomclient.Option) (room.Result, error)
	Join(ctx context.Context, r room.JoinRequest, opts ...roomclient.Option) (room.Result, error)
	Leave(ctx context.Context, r room.LeaveRequest, opts ...roomclient.Option) (room.Result, error)
}

var _ RoomService = (*roomclient.Client)(nil)

type callKey struct{}

// call is what the context of a handler carries.
type call struct {
	rooms    RoomService
	warnings []string
	attempt  uint64
}

// Rooms is the room service, for use inside a handler; nil outside of one.
//
// A handler of a pre-event must not change the room that it is asked about. The replica that asks
// refuses such a command as invalid_request. Another replica decides it by itself, which asks the
// app again, and the decision that the handler is part of starts over. A post-event may be delivered
// more than once: a command sent from its handler should have an id made of the event's, such as
// roomclient.WithID(room.CommandID("welcome", e.Event.ID)). Commands sent with the handler's context
// name the event and what led to it as their causes; with more than room.MaxCauses they are refused.
func Rooms(ctx context.Context) RoomService {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.rooms
	}
	return nil
}

// Attempt is which delivery of a post-event a handler works on: 1 for the first. One that is more
// may have been handled before, whole or in part. It is 0 outside of a post-event handler.
func Attempt(ctx context.Context) int {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return int(min(c.attempt, math.MaxInt))
	}
	return 0
}

// Warn adds a warning that the user is shown although the app allows the action. It has an
// effect only inside a pre-event handler, and not from other goroutines.
func Warn(ctx context.Context, warning string) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.warnings = append(c.warnings, warning)
	}
}
