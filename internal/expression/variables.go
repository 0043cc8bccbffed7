package expression

import (
	"cmp"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/roombus/roombus/room"
)

// variables are the variables of one evaluation. They are converted when they are read.
type variables struct {
	on    room.Interface
	event room.EventType // of the interface
	Event
	everyone   ref.Val // the members, once they have been read
	params     Params
	paramsKind *kind[variables] // nil: there are no params

	// The values of variables that have been read. They are here so that a reading allocates nothing.
	roomValue              object[room.Room]
	userValue, actorValue  object[room.User]
	eventValue, paramValue object[variables]
}

// ResolveName returns a variable by its name.
func (v *variables) ResolveName(name string) (any, bool) {
	switch name {
	case "room":
		v.roomValue = object[room.Room]{roomKind, &v.Data.Room}
		return &v.roomValue, true
	case "user":
		v.userValue = object[room.User]{userKind, v.user()}
		return &v.userValue, true
	case "actor":
		v.actorValue = object[room.User]{userKind, v.actor()}
		return &v.actorValue, true
	case "event":
		v.eventValue = object[variables]{eventKind, v}
		return &v.eventValue, true
	case "params":
		if v.paramsKind == nil {
			return nil, false
		}
		v.paramValue = object[variables]{v.paramsKind, v}
		return &v.paramValue, true
	case "before":
		return v.changed(v.Data.Before, v.Data.UserBefore)
	case "after":
		return v.changed(v.Data.After, v.Data.UserAfter)
	}
	return nil, false
}

// changed returns the room or the user of an update.
func (v *variables) changed(r *room.Room, u *room.User) (any, bool) {
	switch v.event {
	case room.EventUpdate:
		return roomKind.object(cmp.Or(r, &room.Room{})), true
	case room.EventUserUpdate:
		return userKind.object(cmp.Or(u, &room.User{})), true
	}
	return nil, false
}

// Parent is nil: there is no scope around the variables.
func (v *variables) Parent() interpreter.Activation { return nil }

// members converts all members at once, because an expression that reads members visits most of them.
func (v *variables) members() ref.Val {
	if v.everyone == nil {
		objects := make([]object[room.User], len(v.Data.Members))
		list := make([]ref.Val, len(objects))
		for n := range objects {
			objects[n] = object[room.User]{userKind, &v.Data.Members[n]}
			list[n] = &objects[n]
		}
		v.everyone = types.NewRefValList(adapter{}, list)
	}
	return v.everyone
}

// user returns the user that joins, leaves, creates, updates or deletes the room, or the member before
// its update.
func (v *variables) user() *room.User {
	switch v.event {
	case room.EventCreate:
		return &v.Data.Room.Creator
	case room.EventUserJoin:
		return orNone(v.Data.JoiningUser)
	case room.EventUserLeave:
		return orNone(v.Data.LeavingUser)
	case room.EventUserUpdate:
		return orNone(v.Data.UserBefore)
	case room.EventUpdate:
		return orNone(v.Data.UpdatedBy)
	}
	return orNone(v.Data.DeletedBy)
}

// actor returns the user that acts: the inviter, the remover or the updater of a member if there is
// one, otherwise user.
func (v *variables) actor() *room.User {
	switch v.event {
	case room.EventUserJoin:
		return cmp.Or(v.Data.Inviter, v.user())
	case room.EventUserLeave:
		return cmp.Or(v.Data.RemovedBy, v.user())
	case room.EventUserUpdate:
		return cmp.Or(v.Data.UpdatedBy, v.user())
	}
	return v.user()
}

// orNone returns the user, or one without an id.
func orNone(u *room.User) *room.User {
	if u == nil {
		return &room.User{}
	}
	return u
}
