package room

import (
	"errors"
	"fmt"
)

// Evolve applies a committed event to the state of its room. The state is changed in place,
// or left alone if the event cannot follow on it: then the error says why.
func Evolve(s *State, e Event) error {
	if e.Seq <= s.Seq {
		return fmt.Errorf("sequence %d does not come after the room's last, %d", e.Seq, s.Seq)
	}
	// In a replicated stream a foreign message can slip in under a guard that is being checked:
	// then the event names the one before it.
	if e.Expected != s.Seq && e.Expected != s.Applied {
		return fmt.Errorf("broken chain: the event was guarded by sequence %d, the room's last is %d", e.Expected, s.Seq)
	}
	if e.Data.Room.ID != e.Room {
		return fmt.Errorf("the event of room %q carries room %q", e.Room, e.Data.Room.ID)
	}
	if e.Type == EventCreate {
		return s.create(e)
	}
	if !s.Exists {
		return fmt.Errorf("%s of a room that does not live", e.Type)
	}
	if e.Version != s.Room.Version+1 {
		return fmt.Errorf("version %d does not follow on %d", e.Version, s.Room.Version)
	}
	switch e.Type {
	case EventDelete:
		*s = State{Seq: e.Seq, Applied: e.Seq}
		return nil
	case EventUserJoin:
		if e.Data.JoiningUser == nil || s.IsMember(e.Data.JoiningUser.ID) {
			return errors.New("join without a user, or of a member")
		}
		s.add(*e.Data.JoiningUser)
	case EventUserLeave:
		if e.Data.LeavingUser == nil || !s.IsMember(e.Data.LeavingUser.ID) {
			return errors.New("leave without a user, or of one who is no member")
		}
		s.remove(e.Data.LeavingUser.ID)
	default:
		return fmt.Errorf("unknown event %q", e.Type)
	}
	s.Seq, s.Applied = e.Seq, e.Seq
	s.Room.Version = e.Version
	s.Room.MemberCount = len(s.members)
	return nil
}

func (s *State) create(e Event) error {
	if s.Exists {
		return errors.New("creation of a room that lives")
	}
	if e.Version != 1 {
		return fmt.Errorf("creation with version %d", e.Version)
	}
	*s = State{Exists: true, Room: e.Data.Room, Seq: e.Seq, Applied: e.Seq}
	for _, m := range e.Data.Members {
		s.add(m)
	}
	s.Room.Version = e.Version
	s.Room.MemberCount = len(s.members)
	return nil
}

// Skip moves the state past a message that is not applied, so that the room's next event
// can follow on it.
func (s *State) Skip(seq uint64) { s.Seq = max(s.Seq, seq) }
