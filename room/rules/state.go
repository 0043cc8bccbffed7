package rules

import (
	"iter"
	"slices"
	"time"

	"github.com/roombus/roombus/room"
)

// State is the state of one room after its events so far. The zero State is a room without events.
type State struct {
	// Room is nil if the room does not exist.
	Room *room.Room
	// Seq is the stream sequence of the room's last message, also of a deleted room. It is the guard
	// of the next event.
	Seq uint64
	// Applied is the sequence of the last applied event. It differs from Seq only after a message that
	// another client stored.
	Applied uint64
	// Latest has the room's latest event of each type, also of a deleted room.
	Latest room.Latest
	// DeletedAt is when the room, or the previous room of the same id, was deleted. It is zero if there
	// was no deletion, or if its history has been purged. The deletion's sequence is Latest.Delete.
	DeletedAt time.Time
	latestAt  int64    // time of the last event in microseconds; 0 if unknown
	members   []member // in the order of their ids
	content   uint64   // see Hash
}

// View is the part of a state that a decision depends on.
type View struct {
	Exists bool
	Room   room.Room
	Seq    uint64
	Latest room.Latest
	// LatestAt is the time of the room's last event. The time of the next event is not before it.
	LatestAt time.Time
	// Subject and Actor are the command's users as stored in the room; nil if the user is not a
	// member.
	Subject, Actor *room.User
	// former are the members at a deletion, in the order of their ids, at most MaxFormerMembers.
	former []member
}

// Changes reports whether the request, if it is allowed, changes the room, or may change it.
func (v View) Changes(r room.Request) bool {
	switch r.(type) {
	case room.CreateRequest:
		return !v.Exists
	case room.JoinRequest:
		return v.Exists && v.Subject == nil
	case room.LeaveRequest, room.UpdateMemberRequest:
		return v.Exists && v.Subject != nil
	}
	return v.Exists // an update may change nothing, which only Decide finds out
}

// View returns the part of the state that the decision of the request needs.
func (s *State) View(r room.Request) View {
	v := View{Seq: s.Seq, Latest: s.Latest, LatestAt: time.UnixMicro(s.latestAt).UTC(), Subject: s.stored(r.Subject())}
	if s.Room != nil {
		v.Exists, v.Room = true, *s.Room
		v.Actor = s.stored(r.Actor())
	}
	if r.Event() == room.EventDelete {
		v.former = slices.Clone(s.members[:min(len(s.members), room.MaxFormerMembers)])
	}
	return v
}

// NotBefore sets the time of the room's last event to at, if the state does not know that time. The
// last event was not later than at.
func (s *State) NotBefore(at time.Time) {
	if s.latestAt == 0 {
		s.latestAt = at.UnixMicro()
	}
}

// stored returns the user as stored in the room, nil if the user is not a member.
func (s *State) stored(u *room.User) *room.User {
	if u == nil {
		return nil
	}
	at, found := s.find(u.ID)
	if !found {
		return nil
	}
	return new(s.members[at].user())
}

// Has reports whether the room exists and has had an event of that type since its creation.
func (s *State) Has(e room.EventType) bool {
	seq := s.Latest.Of(e)
	return s.Room != nil && seq > 0 && seq >= s.Latest.Create
}

// IsMember reports whether the user is a member of the room.
func (s *State) IsMember(userID string) bool {
	_, found := s.find(userID)
	return found
}

// MemberIDs returns the ids of the members, in order, without the first ones.
func (s *State) MemberIDs(without int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, m := range s.members[without:] {
			if !yield(m.id()) {
				return
			}
		}
	}
}

// MembersAfter returns up to limit members whose ids come after userID, in order.
func (s *State) MembersAfter(userID string, limit int) []room.User {
	at, found := s.find(userID)
	if found {
		at++
	}
	page := s.members[at:min(at+limit, len(s.members))]
	users := make([]room.User, len(page))
	for n, m := range page {
		users[n] = m.user()
	}
	return users
}

func (s *State) find(userID string) (int, bool) {
	return slices.BinarySearchFunc(s.members, userID, member.compare)
}

// join adds the user, in place of a member with the same id.
func (s *State) join(u room.User) error {
	m, err := newMember(u)
	if err != nil {
		return err
	}
	s.leave(u.ID)
	at, _ := s.find(u.ID)
	s.members = slices.Insert(s.members, at, m)
	s.content += m.hash()
	return nil
}

func (s *State) leave(userID string) {
	if at, found := s.find(userID); found {
		s.content -= s.members[at].hash()
		s.members = slices.Delete(s.members, at, at+1)
		if cap(s.members) > 4*len(s.members) {
			s.members = slices.Clip(slices.Clone(s.members)) // frees the memory of a room that was large
		}
	}
}
