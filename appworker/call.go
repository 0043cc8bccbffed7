package appworker

import (
	"context"
	"math"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// RoomService has the methods of the room service that a handler can use. In a worker it is a
// *roomclient.Client, in appworkertest it is set by the test.
type RoomService interface {
	Get(ctx context.Context, roomID string) (room.Room, error)
	Members(ctx context.Context, r room.MembersRequest) (room.MemberPage, error)
	Create(ctx context.Context, r room.CreateRequest, opts ...roomclient.Option) (room.Result, error)
	Delete(ctx context.Context, r room.DeleteRequest, opts ...roomclient.Option) (room.Result, error)
	Join(ctx context.Context, r room.JoinRequest, opts ...roomclient.Option) (room.Result, error)
	Leave(ctx context.Context, r room.LeaveRequest, opts ...roomclient.Option) (room.Result, error)
	Update(ctx context.Context, r room.UpdateRequest, opts ...roomclient.Option) (room.Result, error)
	UpdateMember(ctx context.Context, r room.UpdateMemberRequest, opts ...roomclient.Option) (room.Result, error)
}

var _ RoomService = (*roomclient.Client)(nil)

type callKey struct{}

// call is the value in a handler's context.
type call struct {
	rooms    RoomService
	warnings []string
	attempt  uint64
}

// Rooms returns the room service for use inside a handler, and nil outside of a handler.
//
// A handler of a pre-event must not change the room of the event. The room service replica that sent the
// pre-event refuses such a command as invalid_request. Another replica executes it, which asks the app
// again; then the first replica has to decide its own command again. A post-event may be delivered more
// than once: a command sent from its handler should have an id derived from the event's id, such as
// roomclient.WithID(room.CommandID("welcome", e.Event.ID)). Commands sent with the handler's context
// list the event and its causes as their causes; with more than room.MaxCauses they are refused.
func Rooms(ctx context.Context) RoomService {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.rooms
	}
	return nil
}

// Attempt returns the number of the delivery that a post-event handler works on: 1 for the first. If it
// is higher, an earlier delivery may have been handled completely or in part. It is 0 outside of a
// post-event handler.
func Attempt(ctx context.Context) int {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return int(min(c.attempt, math.MaxInt))
	}
	return 0
}

// Warn adds a warning that is shown to the user if the app allows the action. It has no effect outside
// of a pre-event handler. It must be called from the handler's goroutine.
func Warn(ctx context.Context, warning string) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.warnings = append(c.warnings, warning)
	}
}
