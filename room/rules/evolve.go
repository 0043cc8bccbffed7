package rules

import (
	"errors"
	"fmt"

	"github.com/roombus/roombus/room"
)

// Evolve applies a committed event to the state of its room. It changes the state in place. If the event
// cannot follow, Evolve returns an error and leaves the state unchanged. It is deterministic.
func Evolve(s *State, e room.Event) error {
	if err := follows(s, e); err != nil {
		return err
	}
	if e.Type == room.EventCreate {
		return s.create(e)
	}
	if s.Room == nil {
		return fmt.Errorf("%s of a room that does not live", e.Type)
	}
	if e.Version != s.Room.Version+1 {
		return fmt.Errorf("version %d does not follow on %d", e.Version, s.Room.Version)
	}
	if err := apply(s, e); err != nil {
		return err
	}
	s.advance(e)
	return nil
}

// follows returns an error if the event is not the next one of the room.
func follows(s *State, e room.Event) error {
	if e.Seq <= s.Seq {
		return fmt.Errorf("sequence %d does not come after the room's last, %d", e.Seq, s.Seq)
	}
	// In a replicated stream an unguarded message can be stored while the server checks a guard. Then
	// the event expects the message before the unguarded one.
	if e.Expected != s.Seq && e.Expected != s.Applied && !s.recreates(e) {
		return fmt.Errorf("broken chain: the event was guarded by sequence %d, the room's last is %d", e.Expected, s.Seq)
	}
	if e.Data.Room.ID != e.Room {
		return fmt.Errorf("the event of room %q carries room %q", e.Room, e.Data.Room.ID)
	}
	return nil
}

// apply changes a room that lives.
func apply(s *State, e room.Event) error {
	switch e.Type {
	case room.EventUpdate:
		s.update(e.Data.Room)
	case room.EventDelete:
		*s = State{Latest: s.Latest, DeletedAt: e.Time, latestAt: s.latestAt}
	case room.EventUserJoin:
		u := e.Data.JoiningUser
		if u == nil || s.IsMember(u.ID) {
			return errors.New("join without a user, or of a member")
		}
		return s.join(*u)
	case room.EventUserUpdate:
		u := e.Data.UserAfter
		if u == nil || !s.IsMember(u.ID) {
			return errors.New("update without a user, or of a user that is not a member")
		}
		return s.join(*u)
	case room.EventUserLeave:
		u := e.Data.LeavingUser
		if u == nil || !s.IsMember(u.ID) {
			return errors.New("leave without a user, or of a user that is not a member")
		}
		s.leave(u.ID)
	default:
		return fmt.Errorf("unknown event %q", e.Type)
	}
	return nil
}

// recreates reports whether the event creates a room whose earlier history has been purged from the
// stream. If the purge was before the event, the guard is 0. The stream accepted it, so it had no message
// of the room, even if the room exists in this state because an operator purged its events. If the
// purge was after the event, this state has seen no event of the room.
func (s *State) recreates(e room.Event) bool {
	return e.Type == room.EventCreate && e.Version == 1 && (e.Expected == 0 || s.Room == nil && s.Applied == 0)
}

func (s *State) create(e room.Event) error {
	if s.Room != nil && !s.recreates(e) {
		return errors.New("creation of a room that lives")
	}
	if e.Version != 1 {
		return fmt.Errorf("creation with version %d", e.Version)
	}
	record := e.Data.Room // a copy, so that the state does not keep the whole event in memory
	latest := s.Latest
	if s.recreates(e) {
		latest = e.Previous // as in the state of a replica that has seen the whole history
	}
	made := State{Room: &record, Latest: latest, DeletedAt: s.DeletedAt, latestAt: s.latestAt, content: hashRecord(record)}
	for _, u := range e.Data.Members {
		if err := made.join(u); err != nil {
			return err
		}
	}
	*s = made
	s.advance(e)
	return nil
}

// update replaces the record.
func (s *State) update(record room.Room) {
	s.content += hashRecord(record) - hashRecord(*s.Room)
	s.Room = &record // views have the one before
}

// advance moves the state past the event that was applied.
func (s *State) advance(e room.Event) {
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
