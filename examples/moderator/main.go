// Command moderator is an app with a policy for private groups. It keeps out members without a
// name, and limits a group to the number of members in its custom field "max". It also creates a
// welcome room after each join.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

var manifest = appworker.Manifest{
	ID: "moderator", Version: "1.0.0",
	// Without its verdict no user joins.
	Essentials: []room.Interface{room.PreRoomUserJoined},
	// It is asked about private groups only.
	When: map[room.Interface]string{room.PreRoomUserJoined: `room.type == "private_group"`},
	// It is asked before apps of the default order, 100, and has half a second.
	Order: new(10), TimeoutMs: new(500),
}

type moderator struct{}

// PreRoomUserJoined decides. Its error is its verdict. The context ends when the room service no
// longer waits for the verdict.
func (moderator) PreRoomUserJoined(ctx context.Context, e room.UserJoin) error {
	if e.JoiningUser.Name == "" {
		return room.UserNotAllowed("tell us your name first")
	}
	limit, ok, err := room.Int(e.Room.CustomFields, "max")
	switch {
	case err != nil:
		return err // for example "max": "five": the app fails, and since it is essential the join is refused
	case !ok:
		return nil // no limit
	case int64(e.Room.MemberCount) >= limit:
		return room.UserNotAllowed("this group is full")
	case int64(e.Room.MemberCount) == limit-1:
		appworker.Warn(ctx, "yours is the last place")
	}
	return nil
}

// PostRoomUserJoined reacts. The event may be delivered more than once. The id of the command is
// derived from the event's id, so that the command takes effect once.
func (moderator) PostRoomUserJoined(ctx context.Context, e room.UserJoined) error {
	if e.Room.Type != room.PrivateGroup {
		return nil
	}
	id := room.CommandID("welcome", e.Event.ID)
	_, err := appworker.Rooms(ctx).Create(ctx, room.CreateRequest{
		Room:    room.NewRoom{ID: id, SlugifiedName: id, Type: room.DirectMessage, ParentRoomID: e.Room.ID},
		Creator: e.JoiningUser,
	}, roomclient.WithID(id))
	switch {
	case errors.Is(err, &room.Error{Code: room.CodeInvalidRequest}):
		return appworker.Discard(err) // another attempt would fail the same way
	case err != nil:
		return appworker.RetryLater(time.Second, err)
	}
	return nil
}

func main() { appworker.Main(manifest, moderator{}) }
