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
	if e.Expected != s.Seq && e.Expected != s.Applied && !s.succeeds(e) {
		return fmt.Errorf("broken chain: the event was guarded by sequence %d, the room's last is %d", e.Expected, s.Seq)
	}
	if e.Data.Room.ID != e.Room {
		return fmt.Errorf("the event of room %q carries room %q", e.Room, e.Data.Room.ID)
	}
	if e.Type == EventCreate {
		return s.create(e)
	}
	if s.Room == nil {
		return fmt.Errorf("%s of a room that does not live", e.Type)
	}
	if e.Version != s.Room.Version+1 {
		return fmt.Errorf("version %d does not follow on %d", e.Version, s.Room.Version)
	}
	switch e.Type {
	case EventDelete:
		*s = State{Latest: s.Latest, DeletedAt: e.Time, latestAt: s.latestAt}
	case EventUserJoin:
		u := e.Data.JoiningUser
		if u == nil || s.IsMember(u.ID) {
			return errors.New("join without a user, or of a member")
		}
		if err := s.join(*e.Data.JoiningUser); err != nil {
			return err
		}
	case EventUserLeave:
		if e.Data.LeavingUser == nil || !s.IsMember(e.Data.LeavingUser.ID) {
			return errors.New("leave without a user, or of one who is no member")
		}
		s.leave(e.Data.LeavingUser.ID)
	default:
		return fmt.Errorf("unknown event %q", e.Type)
	}
	s.pass(e)
	return nil
}

// succeeds reports whether the event creates a room after one of the same id whose whole history has
// been removed. If that was before the event, its guard is 0: the stream took it, so the stream had
// nothing of the room, not even of one that lives in this state, whose events an operator has purged.
// If it was since, this state has seen nothing of the room.
func (s *State) succeeds(e Event) bool {
	return e.Type == EventCreate && e.Version == 1 && (e.Expected == 0 || s.Room == nil && s.Applied == 0)
}

func (s *State) create(e Event) error {
	if s.Room != nil && !s.succeeds(e) {
		return errors.New("creation of a room that lives")
	}
	if e.Version != 1 {
		return fmt.Errorf("creation with version %d", e.Version)
	}
	record := e.Data.Room // a copy, lest it keeps the whole event
	latest := s.Latest
	if s.succeeds(e) {
		latest = e.Previous // as it is for who has seen it all
	}
	made := State{Room: &record, Latest: latest, DeletedAt: s.DeletedAt, latestAt: s.latestAt, content: hashRecord(record)}
	for _, u := range e.Data.Members {
		if err := made.join(u); err != nil {
			return err
		}
	}
	*s = made
	s.pass(e)
	return nil
}

// pass moves the state past the event that it has just taken.
func (s *State) pass(e Event) {
	s.Seq, s.Applied = e.Seq, e.Seq
	s.latestAt = max(s.latestAt, e.Time.UnixMicro())
	s.Latest.Set(e.Type, e.Seq)
	if s.Room != nil {
		s.Room.Version, s.Room.MemberCount = e.Version, len(s.members)
	}
}

// Skip moves the state past a message that is not applied, so that the room's next event
// can follow on it.
func (s *State) Skip(seq uint64) { s.Seq = max(s.Seq, seq) }
