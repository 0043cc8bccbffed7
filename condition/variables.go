package condition

import (
	"cmp"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/roombus/roombus/room"
)

// variables is what an expression is evaluated against. Nothing is converted before it is read.
type variables struct {
	on room.Interface
	Event
	everyone ref.Val // the members, once they have been read
}

// ResolveName finds a variable by its name.
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
	}
	return nil, false
}

// Parent is nil: there is no scope around the variables.
func (v *variables) Parent() interpreter.Activation { return nil }

// members are made values all at once: an expression that reads them goes through most of them.
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

// user is whose membership the event is about.
func (v *variables) user() *room.User {
	switch v.on.Event() {
	case room.EventCreate:
		return &v.Data.Room.Creator
	case room.EventUserJoin:
		return cmp.Or(v.Data.JoiningUser, &room.User{})
	case room.EventUserLeave:
		return cmp.Or(v.Data.LeavingUser, &room.User{})
	}
	return cmp.Or(v.Data.DeletedBy, &room.User{})
}

// actor is who acts: the user, unless somebody else acts on the user.
func (v *variables) actor() *room.User {
	switch v.on.Event() {
	case room.EventUserJoin:
		return cmp.Or(v.Data.Inviter, v.user())
	case room.EventUserLeave:
		return cmp.Or(v.Data.RemovedBy, v.user())
	}
	return v.user()
}
