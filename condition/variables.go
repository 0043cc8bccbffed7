package condition

import (
	"cmp"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/roombus/roombus/room"
)

// The fields an expression can read are those of the wire, by the names they have there.
var (
	userKind = &kind[room.User]{
		of: objectType("User"),
		id: func(u *room.User) string { return u.ID },
		fields: map[string]field[room.User]{
			"id":         text(func(u *room.User) string { return u.ID }),
			"username":   text(func(u *room.User) string { return u.Username }),
			"name":       text(func(u *room.User) string { return u.Name }),
			"roles":      {types.NewListType(types.StringType), func(u *room.User) ref.Val { return types.NewStringList(adapter{}, u.Roles) }},
			"attributes": open(func(u *room.User) map[string]any { return u.Attributes }),
		},
	}
	roomKind = &kind[room.Room]{
		of: objectType("Room"),
		id: func(r *room.Room) string { return r.ID },
		fields: map[string]field[room.Room]{
			"id":                    text(func(r *room.Room) string { return r.ID }),
			"displayName":           text(func(r *room.Room) string { return r.DisplayName }),
			"slugifiedName":         text(func(r *room.Room) string { return r.SlugifiedName }),
			"type":                  text(func(r *room.Room) string { return string(r.Type) }),
			"creator":               user(func(r *room.Room) *room.User { return &r.Creator }),
			"isDefault":             flag(func(r *room.Room) bool { return r.IsDefault }),
			"isReadOnly":            flag(func(r *room.Room) bool { return r.IsReadOnly }),
			"displaySystemMessages": flag(func(r *room.Room) bool { return r.DisplaySystemMessages }),
			"description":           text(func(r *room.Room) string { return r.Description }),
			"customFields":          open(func(r *room.Room) map[string]any { return r.CustomFields }),
			"parentRoomId":          text(func(r *room.Room) string { return r.ParentRoomID }),
			"createdAt":             {types.TimestampType, func(r *room.Room) ref.Val { return types.Timestamp{Time: r.CreatedAt} }},
			"memberCount":           number(func(r *room.Room) int64 { return int64(r.MemberCount) }),
			"version":               number(func(r *room.Room) int64 { return int64(r.Version) }),
		},
	}
	eventKind = &kind[variables]{
		of: objectType("Event"),
		id: func(v *variables) string { return v.ID },
		fields: map[string]field[variables]{
			"id":        text(func(v *variables) string { return v.ID }),
			"type":      text(func(v *variables) string { return string(v.on.Event()) }),
			"interface": text(func(v *variables) string { return string(v.on) }),
			"time":      {types.TimestampType, func(v *variables) ref.Val { return types.Timestamp{Time: v.Time} }},
			"members":   {types.NewListType(userKind.of), func(v *variables) ref.Val { return types.NewList(adapter{}, v.Data.Members) }},
		},
	}
)

func text[T any](get func(*T) string) field[T] {
	return field[T]{types.StringType, func(v *T) ref.Val { return types.String(get(v)) }}
}

func flag[T any](get func(*T) bool) field[T] {
	return field[T]{types.BoolType, func(v *T) ref.Val { return types.Bool(get(v)) }}
}

func number[T any](get func(*T) int64) field[T] {
	return field[T]{types.IntType, func(v *T) ref.Val { return types.Int(get(v)) }}
}

func user[T any](get func(*T) *room.User) field[T] {
	return field[T]{userKind.of, func(v *T) ref.Val { return userKind.object(get(v)) }}
}

// open is a field that holds whatever people put there, by name.
func open[T any](get func(*T) map[string]any) field[T] {
	return field[T]{types.NewMapType(types.StringType, types.DynType), func(v *T) ref.Val {
		return types.NewStringInterfaceMap(adapter{}, get(v))
	}}
}

// variables is what an expression is evaluated against. Nothing is converted before it is read.
type variables struct {
	on room.Interface
	Event
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
