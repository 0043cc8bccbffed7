package expression

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/roombus/roombus/room"
)

// The fields that an expression can read have the names of the wire.
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
			"createdAt":             moment(func(r *room.Room) time.Time { return r.CreatedAt }),
			"memberCount":           number(func(r *room.Room) int64 { return int64(r.MemberCount) }),
			"version":               number(func(r *room.Room) int64 { return int64(r.Version) }),
		},
	}
	eventKind = &kind[variables]{
		of: objectType("Event"),
		id: func(v *variables) string { return v.ID },
		fields: map[string]field[variables]{
			"id":        text(func(v *variables) string { return v.ID }),
			"type":      text(func(v *variables) string { return string(v.event) }),
			"interface": text(func(v *variables) string { return string(v.on) }),
			"time":      moment(func(v *variables) time.Time { return v.Time }),
			"members":   {types.NewListType(userKind.of), (*variables).members},
			"changed":   {types.NewListType(types.StringType), func(v *variables) ref.Val { return types.NewStringList(adapter{}, v.Data.Changed) }},
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

func moment[T any](get func(*T) time.Time) field[T] {
	return field[T]{types.TimestampType, func(v *T) ref.Val { return types.Timestamp{Time: get(v).UTC()} }}
}

func user[T any](get func(*T) *room.User) field[T] {
	return field[T]{userKind.of, func(v *T) ref.Val { return userKind.object(get(v)) }}
}

// open is a field with arbitrary keys and values.
func open[T any](get func(*T) map[string]any) field[T] {
	return field[T]{types.NewMapType(types.StringType, types.DynType), func(v *T) ref.Val {
		return newDictionary(get(v))
	}}
}
