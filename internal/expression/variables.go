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
	on room.Interface
	Event
	everyone   ref.Val // the members, once they have been read
	params     Params
	paramsKind *kind[variables] // nil: there are no params
}

// ResolveName returns a variable by its name.
func (v *variables) ResolveName(name string) (any, bool) {
	switch name {
	case "room":
		return roomKind.object(&v.Data.Room), true
	case "user":
		return userKind.object(v.user()), true
	case "actor":
		return userKind.object(v.actor()), true
	case "event":
		return eventKind.object(v), true
	case "params":
		if v.paramsKind == nil {
			return nil, false
		}
		return v.paramsKind.object(v), true
	case "before":
		return v.changed(v.Data.Before, v.Data.UserBefore)
	case "after":
		return v.changed(v.Data.After, v.Data.UserAfter)
	}
	return nil, false
}

// changed returns the room or the user of an update.
func (v *variables) changed(r *room.Room, u *room.User) (any, bool) {
	switch v.on.Event() {
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
	switch v.on.Event() {
	case room.EventCreate:
		return &v.Data.Room.Creator
	case room.EventUserJoin:
		return cmp.Or(v.Data.JoiningUser, &room.User{})
	case room.EventUserLeave:
		return cmp.Or(v.Data.LeavingUser, &room.User{})
	case room.EventUserUpdate:
		return cmp.Or(v.Data.UserBefore, &room.User{})
	case room.EventUpdate:
		return cmp.Or(v.Data.UpdatedBy, &room.User{})
	}
	return cmp.Or(v.Data.DeletedBy, &room.User{})
}

// actor returns the user that acts: the inviter, the remover or the updater of a member if there is
// one, otherwise user.
func (v *variables) actor() *room.User {
	switch v.on.Event() {
	case room.EventUserJoin:
		return cmp.Or(v.Data.Inviter, v.user())
	case room.EventUserLeave:
		return cmp.Or(v.Data.RemovedBy, v.user())
	case room.EventUserUpdate:
		return cmp.Or(v.Data.UpdatedBy, v.user())
	}
	return v.user()
}
