package room

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Draft is a change on its way to being committed: what the apps are asked about, and what
// they have said so far.
type Draft struct {
	Event EventType
	Data  Data
	Bounds
	former []member // the members that a deletion ends
}

// Bounds are how many bytes an event may take; 0 is no bound.
type Bounds struct {
	MaxBytes int // of the body without what apps say: no app may make it larger
	MaxWhole int // of the body with what apps say, of which the rest is cut
}

// Decide says whether the command is possible at all and drafts the change. It returns
//
//   - a draft, if the room would change;
//   - nil and no error, if everything is already as the command asks;
//   - an error of code room_not_found, room_exists, or too_large for an event that no message
//     could carry.
func Decide(v View, c Command) (*Draft, error) {
	d, err := decide(v, c)
	if d == nil {
		return nil, err
	}
	d.Bounds = c.Bounds
	if c.mayBeTooLarge() {
		if err := d.fits(); err != nil {
			return nil, tooLarge("the event is too large: %v", err)
		}
	}
	return d, nil
}

func decide(v View, c Command) (*Draft, error) {
	if r, ok := c.Request.(CreateRequest); ok {
		if v.Exists {
			return nil, Errorf(CodeRoomExists, "there is a room %q already", r.Room.ID)
		}
		return r.draft(latest(c.Time, v.LatestAt)), nil
	}
	if !v.Exists {
		return nil, NotFound(c.Request.Target())
	}
	if !v.Changes(c.Request) {
		return nil, nil
	}
	d := &Draft{Event: c.Request.Event(), Data: Data{Room: v.Room}}
	// Of members it counts what the room knows, not what the client says.
	subject, actor := cmp.Or(v.Subject, c.Request.Subject()), cmp.Or(v.Actor, c.Request.Actor())
	switch d.Event {
	case EventDelete:
		d.Data.DeletedBy, d.former = actor, v.former
	case EventUserJoin:
		d.Data.JoiningUser, d.Data.Inviter = subject, actor
	case EventUserLeave:
		d.Data.LeavingUser, d.Data.RemovedBy = subject, actor
	}
	return d, nil
}

// latest is the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (r CreateRequest) draft(at time.Time) *Draft {
	n := r.Room
	d := &Draft{Event: EventCreate, Data: Data{
		Room: Room{
			ID:                    n.ID,
			DisplayName:           n.DisplayName,
			SlugifiedName:         n.SlugifiedName,
			Type:                  n.Type,
			Creator:               r.Creator,
			IsDefault:             n.IsDefault,
			IsReadOnly:            n.IsReadOnly,
			DisplaySystemMessages: n.DisplaySystemMessages == nil || *n.DisplaySystemMessages,
			Description:           n.Description,
			CustomFields:          n.CustomFields,
			ParentRoomID:          n.ParentRoomID,
			CreatedAt:             at,
		},
		Members: distinct(append([]User{r.Creator}, r.Members...)),
	}}
	d.Data.Room.MemberCount = len(d.Data.Members)
	return d
}

// fits returns an error unless the body keeps its bound.
func (d Draft) fits() error {
	if d.MaxBytes == 0 {
		return nil
	}
	size, err := d.size()
	if err != nil {
		return err
	}
	if size > d.MaxBytes {
		return fmt.Errorf("its body takes %d bytes, it may take %d", size, d.MaxBytes)
	}
	return nil
}

// size is how many bytes the body takes without what apps say.
func (d Draft) size() (int, error) {
	data := d.Data
	data.Apps, data.Warnings = nil, nil
	body, err := json.Marshal(data)
	return len(body), err
}

// Time is when the event happens, decided at that time: never before the room's previous event.
func (v View) Time(decided time.Time) time.Time { return latest(decided, v.LatestAt) }

// Final is the body of the post-event: the room as it is after the change.
func (d Draft) Final() Data {
	data := d.Data
	data.Room.Version++
	switch d.Event {
	case EventCreate:
		data.Room.MemberCount = len(data.Members)
	case EventUserJoin:
		data.Room.MemberCount++
	case EventUserLeave:
		data.Room.MemberCount--
	case EventDelete:
		data.Members = d.remembered()
	}
	return data
}

// remembered are the members that the event of a deletion has room for, in order.
func (d Draft) remembered() []User {
	size, err := d.size()
	if err != nil {
		return nil
	}
	left := d.MaxBytes - size - len(`"members":[],`)
	users := make([]User, 0, len(d.former))
	for _, m := range d.former {
		u := m.user()
		if d.MaxBytes > 0 {
			record, _ := json.Marshal(u) // it came as JSON
			if left -= len(record) + 1; left < 0 {
				break
			}
		}
		users = append(users, u)
	}
	return users
}

// distinct keeps the first of the users with one id.
func distinct(users []User) []User {
	seen := make(map[string]bool, len(users))
	return slices.DeleteFunc(users, func(u User) bool {
		was := seen[u.ID]
		seen[u.ID] = true
		return was
	})
}
