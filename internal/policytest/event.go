package policytest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// bounds are the bounds with a NATS server's default maximum of 1 MiB a message.
var bounds = rules.Bounds{MaxBytes: 1<<20 - 64<<10, MaxWhole: 1<<20 - 8<<10}

// commandID is the id of the command that the policy is evaluated for.
const commandID = "command"

// Event returns the event of a pre-event's body. A body that leaves out required fields gets these:
//
//   - the room is a channel with id room and one member, created by the user creator a day before; a room
//     that is about to be created has its creator and the members of the body
//   - the user that joins, leaves or is changed has the id user
//   - after an update, the room or the user is as before, except for the fields of the body
//
// The error is of code invalid_request if the body is not one of the interface.
func Event(i room.Interface, body json.RawMessage, at time.Time) (expression.Event, error) {
	e := expression.Event{ID: commandID, Time: at, Data: &room.Data{}}
	content, err := decoded(i, body, at)
	if err != nil {
		return e, err
	}
	data, err := room.Encode(content)
	if err != nil {
		return e, err
	}
	err = room.DecodeLenient(data, e.Data)
	return e, err
}

// decoded returns the body as the type that an app's handler gets.
func decoded(i room.Interface, body json.RawMessage, at time.Time) (any, error) {
	if len(body) == 0 || string(body) == "null" {
		body = json.RawMessage(`{}`)
	}
	switch i.Event() {
	case room.EventCreate:
		return creation(body, at)
	case room.EventUpdate:
		return update(body, at)
	case room.EventUserUpdate:
		return userUpdate(body, at)
	case room.EventUserJoin:
		e := room.UserJoin{Room: existing(at), JoiningUser: someone}
		err := decodeInto(body, &e, &e.Room)
		return e, err
	case room.EventUserLeave:
		e := room.UserLeave{Room: existing(at), LeavingUser: someone}
		err := decodeInto(body, &e, &e.Room)
		return e, err
	case room.EventDelete:
		e := room.Delete{Room: existing(at)}
		err := decodeInto(body, &e, &e.Room)
		return e, err
	}
	return nil, fmt.Errorf("there is no pre-interface %.80q", string(i))
}

var someone = room.User{ID: "user"}

func draft(at time.Time) room.Room {
	return room.Room{ID: "room", Type: room.Channel, Creator: room.User{ID: "creator"}, DisplaySystemMessages: true, CreatedAt: at}
}

func existing(at time.Time) room.Room {
	r := draft(at.Add(-24 * time.Hour))
	r.MemberCount, r.Version = 1, 1
	return r
}

// decodeInto decodes a body over defaults, and validates its room.
func decodeInto(body json.RawMessage, e any, r *room.Room) error {
	if err := room.Decode(body, e); err != nil {
		return err
	}
	return validate(r)
}

func validate(r *room.Room) error {
	r.SlugifiedName = cmp.Or(r.SlugifiedName, r.ID)
	return r.Validate()
}

func creation(body json.RawMessage, at time.Time) (room.Create, error) {
	e := room.Create{Room: draft(at)}
	if err := decodeInto(body, &e, &e.Room); err != nil {
		return e, err
	}
	e.Members = room.DistinctUsers(append([]room.User{e.Room.Creator}, e.Members...))
	e.Room.MemberCount = cmp.Or(e.Room.MemberCount, len(e.Members))
	return e, nil
}

// updateBody is the body of the pre-event of an update. The room is the one before.
type updateBody struct {
	Room room.Room `json:"room"`
	room.Update
}

func update(body json.RawMessage, at time.Time) (updateBody, error) {
	was := updateBody{Update: room.Update{Before: existing(at)}}
	if err := decodeInto(body, &was, &was.Before); err != nil {
		return was, err
	}
	e := updateBody{Update: room.Update{Before: was.Before, After: was.Before}}
	e.Before.CustomFields, e.After.CustomFields = nil, nil // decoding would add to the map of both
	if err := decodeInto(body, &e, &e.After); err != nil {
		return e, err
	}
	e.Room, e.Before = was.Before, was.Before
	if e.After.CustomFields == nil {
		e.After.CustomFields = maps.Clone(was.Before.CustomFields)
	}
	if e.Changed == nil {
		e.Changed = rules.RoomChanges(e.Before, e.After)
	}
	return e, nil
}

func userUpdate(body json.RawMessage, at time.Time) (room.UserUpdate, error) {
	was := room.UserUpdate{Room: existing(at), UserBefore: someone}
	if err := decodeInto(body, &was, &was.Room); err != nil {
		return was, err
	}
	e := room.UserUpdate{Room: existing(at), UserBefore: someone, UserAfter: was.UserBefore}
	e.UserAfter.Attributes, e.UserAfter.Roles = nil, nil // decoding would change those of both
	if err := decodeInto(body, &e, &e.Room); err != nil {
		return e, err
	}
	if e.UserAfter.Attributes == nil {
		e.UserAfter.Attributes = maps.Clone(was.UserBefore.Attributes)
	}
	if e.UserAfter.Roles == nil {
		e.UserAfter.Roles = slices.Clone(was.UserBefore.Roles)
	}
	if e.Changed == nil {
		e.Changed = rules.UserChanges(e.UserBefore, e.UserAfter)
	}
	return e, nil
}
