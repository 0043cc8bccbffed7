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
	User  string // the user that creates, deletes, joins or leaves
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
	Seq     uint64 // of the event, 0 if nothing changed
}

// state is the state of one room. The zero state is a room that has never existed.
type state struct {
	exists  bool
	version uint64
	members []string
	seq     uint64 // of the last event, also of a deleted room
	// overtaken are the commands that were answered without a change, and may still commit. They
	// cannot commit before that answer, because the answer would then have been different.
	overtaken []string
}

func (s state) equal(o state) bool {
	return s.exists == o.exists && s.version == o.version && s.seq == o.seq &&
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
	member := slices.Contains(s.members, in.User)
	unchanged := Output{Version: s.version, Members: len(s.members)}
	switch {
	case in.Event == room.EventCreate && s.exists:
		return s, Output{Code: room.CodeRoomExists}
	case in.Event == room.EventCreate:
		return changed(1, []string{in.User})
	case !s.exists:
		return s, Output{Code: room.CodeRoomNotFound}
	case in.Event == room.EventDelete:
		_, out := changed(s.version+1, s.members) // the answer describes the room before its deletion
		return state{seq: s.seq}, out
	case in.Event == room.EventUserJoin && member, in.Event == room.EventUserLeave && !member:
		return s, unchanged
	case in.Refused:
		return s, Output{Code: room.CodeUserNotAllowed}
	case in.Event == room.EventUserJoin:
		with := append(slices.Clone(s.members), in.User)
		slices.Sort(with)
		return changed(s.version+1, with)
	}
	without := slices.DeleteFunc(slices.Clone(s.members), func(u string) bool { return u == in.User })
	return changed(s.version+1, without)
}

func changed(version uint64, members []string) (state, Output) {
	return state{exists: true, version: version, members: members},
		Output{Changed: true, Version: version, Members: len(members)}
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

func (i Input) String() string { return fmt.Sprintf("%s %s", i.Event, i.User) }

func (o Output) String() string {
	switch {
	case o.Code != "":
		return string(o.Code)
	case !o.Changed:
		return fmt.Sprintf("unchanged, version %d, %d members", o.Version, o.Members)
	}
	return fmt.Sprintf("event %d, version %d, %d members", o.Seq, o.Version, o.Members)
}

func (s state) String() string {
	if !s.exists {
		return "no room"
	}
	return fmt.Sprintf("version %d: %s", s.version, strings.Join(s.members, ", "))
}
