package room

import (
	"slices"
	"time"
)

// State is one room as its events so far have made it. The zero State is a room that has
// never been.
type State struct {
	// Room is nil if the room does not live.
	Room *Room
	// Seq is the stream sequence of the room's last message, also of a deleted room: the next
	// event is guarded by it.
	Seq uint64
	// Applied is the sequence of the last one that was an event. It differs from Seq only
	// behind a message that somebody else put there.
	Applied uint64
	// Latest are the room's latest events, of every type, also those of a deleted room.
	Latest Latest
	// DeletedAt is when the room, or the last one of its id before it, was deleted; zero if none
	// was, or nothing is left of it. The deletion's sequence is Latest.Delete.
	DeletedAt time.Time
	latestAt  int64    // when the last event was, in microseconds; 0 if that is not known
	members   []member // in the order of their ids
	content   uint64   // see Hash
}

// View is what a decision rests on.
type View struct {
	Exists bool
	Room   Room
	Seq    uint64
	Latest Latest
	// LatestAt is the time of the room's last event: the next one has none before it.
	LatestAt time.Time
	// Subject and Actor are the command's users as the room has them stored; nil for one that is
	// no member.
	Subject, Actor *User
	// former are the members that a deletion ends, in the order of their ids, MaxFormerMembers at most.
	former []member
}

// MaxFormerMembers bounds the members that the post-event of a deletion lists.
const MaxFormerMembers = 5000

// Changes reports whether the request, if it is allowed, changes the room.
func (v View) Changes(r Request) bool {
	switch r.(type) {
	case CreateRequest:
		return !v.Exists
	case JoinRequest:
		return v.Exists && v.Subject == nil
	case LeaveRequest:
		return v.Exists && v.Subject != nil
	}
	return v.Exists
}

// View is the part of the state that deciding a request needs.
func (s *State) View(r Request) View {
	v := View{Seq: s.Seq, Latest: s.Latest, LatestAt: time.UnixMicro(s.latestAt).UTC(), Subject: s.stored(r.Subject())}
	if s.Room != nil {
		v.Exists, v.Room = true, *s.Room
		v.Actor = s.stored(r.Actor())
	}
	if r.Event() == EventDelete {
		v.former = slices.Clone(s.members[:min(len(s.members), MaxFormerMembers)])
	}
	return v
}

// NotBefore takes note that the room's last event was at that time at the latest, for a state that
// does not know when it was.
func (s *State) NotBefore(at time.Time) {
	if s.latestAt == 0 {
		s.latestAt = at.UnixMicro()
	}
}

// stored is a user as the room knows it, nil if it is no member.
func (s *State) stored(u *User) *User {
	if u == nil {
		return nil
	}
	at, found := s.find(u.ID)
	if !found {
		return nil
	}
	return new(s.members[at].user())
}

// Has reports whether the room lives and has had an event of that type since it was created.
func (s *State) Has(e EventType) bool {
	seq := s.Latest.Of(e)
	return s.Room != nil && seq > 0 && seq >= s.Latest.Create
}

// IsMember reports whether the user is a member of the room.
func (s *State) IsMember(userID string) bool {
	_, found := s.find(userID)
	return found
}

// MembersAfter returns up to limit members whose ids come after userID, in order.
func (s *State) MembersAfter(userID string, limit int) []User {
	at, found := s.find(userID)
	if found {
		at++
	}
	page := s.members[at:min(at+limit, len(s.members))]
	users := make([]User, len(page))
	for n, m := range page {
		users[n] = m.user()
	}
	return users
}

func (s *State) find(userID string) (int, bool) {
	return slices.BinarySearchFunc(s.members, userID, member.compare)
}

// join makes the user a member, in place of the one of the same id if there is one.
func (s *State) join(u User) error {
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
			s.members = slices.Clip(slices.Clone(s.members)) // a room that was large may stay small
		}
	}
}
