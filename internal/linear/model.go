package linear

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/roombus/roombus/room"
)

// Input is a command.
type Input struct {
	Event room.EventType // the event of the command, if it changes anything
	Room  string
	User  string // the user that creates, updates, deletes, joins, leaves or is updated
	Name  string // the new name of the room or the user, at an update
	// Refused says that an app refuses the user, whenever it is asked.
	Refused bool

	overtaken string // id: an earlier try of this command commits after this answer
	late      string // id: this is that try
}

// Output is the answer to a command.
type Output struct {
	Code    room.Code // why it was refused, empty if it was possible
	Changed bool
	Version uint64 // of the room
	Members int    // of the room: their number
	Name    string // of the room
	Seq     uint64 // of the event, 0 if nothing changed
}

// member is a member of a room.
type member struct{ id, name string }

// state is the state of one room. The zero state is a room that has never existed.
type state struct {
	exists  bool
	version uint64
	name    string
	members []member // by id
	seq     uint64   // of the last event, also of a deleted room
	// overtaken are the commands that were answered without a change, and may still commit. They
	// cannot commit before that answer, because the answer would then have been different.
	overtaken []string
}

func (s state) equal(o state) bool {
	return s.exists == o.exists && s.version == o.version && s.name == o.name && s.seq == o.seq &&
		slices.Equal(s.members, o.members) && slices.Equal(s.overtaken, o.overtaken)
}

// step reports whether the command can have that answer in the state, and returns the next state.
func (s state) step(in Input, out Output) (bool, state) {
	if in.late != "" && !slices.Contains(s.overtaken, in.late) {
		return false, s
	}
	next, answer := s.do(in)
	next.overtaken = s.overtaken
	if in.overtaken != "" {
		next.overtaken = append(slices.Clone(s.overtaken), in.overtaken)
	}
	if answer.Changed {
		if out.Seq <= s.seq {
			return false, s // the stream has them in another order
		}
		next.seq, answer.Seq = out.Seq, out.Seq
	}
	return answer == out, next
}

// do applies the command to the state.
func (s state) do(in Input) (state, Output) {
	at, isMember := slices.BinarySearchFunc(s.members, in.User, func(m member, id string) int { return strings.Compare(m.id, id) })
	unchanged := Output{Version: s.version, Members: len(s.members), Name: s.name}
	switch {
	case in.Event == room.EventCreate && s.exists:
		return s, Output{Code: room.CodeRoomExists}
	case in.Event == room.EventCreate:
		return state{}.changed("", []member{{id: in.User}})
	case !s.exists:
		return s, Output{Code: room.CodeRoomNotFound}
	case in.Event == room.EventDelete:
		_, out := s.changed(s.name, s.members) // the answer describes the room before its deletion
		return state{seq: s.seq}, out
	case in.Event == room.EventUpdate && in.Name == s.name:
		return s, unchanged
	case in.Event == room.EventUpdate:
		return s.changed(in.Name, s.members)
	case in.Event == room.EventUserUpdate && !isMember:
		return s, Output{Code: room.CodeMemberNotFound}
	case in.Event == room.EventUserUpdate && in.Name == s.members[at].name:
		return s, unchanged
	case in.Event == room.EventUserUpdate:
		renamed := slices.Clone(s.members)
		renamed[at].name = in.Name
		return s.changed(s.name, renamed)
	case in.Event == room.EventUserJoin && isMember, in.Event == room.EventUserLeave && !isMember:
		return s, unchanged
	case in.Refused:
		return s, Output{Code: room.CodeUserNotAllowed}
	case in.Event == room.EventUserJoin:
		return s.changed(s.name, slices.Insert(slices.Clone(s.members), at, member{id: in.User}))
	}
	return s.changed(s.name, slices.Delete(slices.Clone(s.members), at, at+1))
}

// changed returns the state after an event, and the answer to its command.
func (s state) changed(name string, members []member) (state, Output) {
	next := state{exists: true, version: s.version + 1, name: name, members: members}
	return next, Output{Changed: true, Version: next.version, Members: len(members), Name: name}
}

// model is the porcupine model of one room.
func model() porcupine.Model {
	return porcupine.Model{
		Init:  func() any { return state{} },
		Step:  func(s, in, out any) (bool, any) { return s.(state).step(in.(Input), out.(Output)) },
		Equal: func(a, b any) bool { return a.(state).equal(b.(state)) },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%s -> %s", in.(Input), out.(Output))
		},
		DescribeState: func(s any) string { return s.(state).String() },
	}
}

func (i Input) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", i.Event, i.User, i.Name))
}

func (o Output) String() string {
	switch {
	case o.Code != "":
		return string(o.Code)
	case !o.Changed:
		return fmt.Sprintf("unchanged, version %d, %d members, name %q", o.Version, o.Members, o.Name)
	}
	return fmt.Sprintf("event %d, version %d, %d members, name %q", o.Seq, o.Version, o.Members, o.Name)
}

func (s state) String() string {
	if !s.exists {
		return "no room"
	}
	members := make([]string, 0, len(s.members))
	for _, m := range s.members {
		members = append(members, strings.TrimSuffix(m.id+"="+m.name, "="))
	}
	return fmt.Sprintf("version %d, name %q: %s", s.version, s.name, strings.Join(members, ", "))
}
