package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// guard decides which users may create, change, delete, join and leave rooms.
type guard struct{}

func (guard) PreRoomCreatePrevent(_ context.Context, e room.Create) error {
	if strings.Contains(e.Room.SlugifiedName, "casino") {
		return room.Prevented("no gambling rooms here")
	}
	return nil
}

func (guard) PreRoomDeletePrevent(_ context.Context, e room.Delete) error {
	if e.Room.IsDefault {
		return room.Prevented("a default room stays")
	}
	return nil
}

func (guard) PreRoomUpdatePrevent(_ context.Context, e room.Update) error {
	if strings.Contains(strings.ToLower(e.After.DisplayName), "casino") {
		return room.Prevented("no gambling rooms here")
	}
	return nil
}

func (guard) PreRoomUserUpdatePrevent(_ context.Context, e room.UserUpdate) error {
	if e.UpdatedBy == nil || e.UpdatedBy.ID != e.Room.Creator.ID {
		return room.Prevented("only the captain changes the crew")
	}
	return nil
}

func (guard) PreRoomUserJoined(ctx context.Context, e room.UserJoin) error {
	if e.JoiningUser.ID == "mallory" {
		return room.UserNotAllowed("mallory is banned")
	}
	if e.Room.MemberCount >= 3 {
		appworker.Warn(ctx, "this room is getting crowded")
	}
	return nil
}

func (guard) PreRoomUserLeave(_ context.Context, e room.UserLeave) error {
	if e.LeavingUser.ID == e.Room.Creator.ID {
		return room.UserNotAllowed("the captain leaves last")
	}
	return nil
}

// concierge furnishes rooms: it adds fields and members, and tidies names.
type concierge struct{}

func (concierge) PreRoomCreateExtend(context.Context, room.Create) (room.Extension, error) {
	return room.Extension{
		CustomFields: map[string]any{"welcome": "Make yourself at home."},
		Members:      []room.User{{ID: "helpbot", Name: "Help Bot"}},
	}, nil
}

func (concierge) PreRoomCreateModify(_ context.Context, e room.Create) (room.Room, error) {
	r := e.Room
	if r.DisplayName == "" {
		r.DisplayName = strings.ToUpper(r.SlugifiedName[:1]) + r.SlugifiedName[1:]
	}
	return r, nil
}

// scribe reacts: it records events, and removes the helpbot from small rooms.
type scribe struct{ wrote chan<- note }

// note is the record of one event.
type note struct {
	i    room.Interface
	ref  room.EventRef
	text string
}

func (s scribe) PostRoomCreate(_ context.Context, e room.Created) error {
	s.write(room.PostRoomCreate, e.Event, "%s is open, members: %d", e.Room.DisplayName, e.Room.MemberCount)
	return nil
}

func (s scribe) PostRoomDeleted(_ context.Context, e room.Deleted) error {
	s.write(room.PostRoomDeleted, e.Event, "%s is gone", e.Room.DisplayName)
	return nil
}

func (s scribe) PostRoomUserJoined(_ context.Context, e room.UserJoined) error {
	s.write(room.PostRoomUserJoined, e.Event, "%s is in, members: %d", e.JoiningUser.ID, e.Room.MemberCount)
	return nil
}

func (s scribe) PostRoomUpdated(_ context.Context, e room.Updated) error {
	s.write(room.PostRoomUpdated, e.Event, "%s is now %s", e.Before.DisplayName, e.After.DisplayName)
	return nil
}

func (s scribe) PostRoomUserUpdated(_ context.Context, e room.UserUpdated) error {
	s.write(room.PostRoomUserUpdated, e.Event, "%s is now %s", e.UserAfter.ID, strings.Join(e.UserAfter.Roles, ", "))
	return nil
}

// PostRoomUserLeave sends a command: once only the creator is left, the helpbot leaves too. The
// command's id is derived from the event's id, so a repeated delivery does no harm.
func (s scribe) PostRoomUserLeave(ctx context.Context, e room.UserLeft) error {
	s.write(room.PostRoomUserLeave, e.Event, "%s is out, members: %d", e.LeavingUser.ID, e.Room.MemberCount)
	if e.Room.MemberCount != 2 || e.LeavingUser.ID == "helpbot" {
		return nil
	}
	_, err := appworker.Rooms(ctx).Leave(ctx, room.LeaveRequest{RoomID: e.Room.ID, User: room.User{ID: "helpbot"}},
		roomclient.WithID(e.Event.ID+"-helpbot"))
	if err != nil {
		return appworker.RetryLater(time.Second, err)
	}
	return nil
}

func (s scribe) write(i room.Interface, ref room.EventRef, format string, args ...any) {
	s.wrote <- note{i: i, ref: ref, text: fmt.Sprintf(format, args...)}
}
