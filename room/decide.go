package room

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Draft is a change on its way to being committed: what the apps are asked about, and what
// they have said so far.
type Draft struct {
	Event    EventType
	Data     Data
	MaxBytes int // what the body may take, 0 for no bound: no app may make it larger
}

// Decide says whether the command is possible at all and drafts the change. It returns
//
//   - a draft, if the room would change;
//   - nil and no error, if everything is already as the command asks;
//   - an error of code room_not_found, room_exists, or too_large for an event that no message
//     could carry.
func Decide(v View, c Command) (*Draft, error) {
	d, err := decide(v, c)
	if d != nil {
		d.MaxBytes = c.MaxBytes
		if c.mayBeTooLarge() {
			if err := d.fits(); err != nil {
				return nil, tooLarge("the event is too large: %v", err)
			}
		}
	}
	return d, err
}

func decide(v View, c Command) (*Draft, error) {
	if r, ok := c.Request.(CreateRequest); ok {
		if v.Exists {
			return nil, Errorf(CodeRoomExists, "there is a room %q already", r.Room.ID)
		}
		return r.draft(c.Time), nil
	}
	if !v.Exists {
		return nil, NotFound(c.Request.Target())
	}
	if !v.Changes(c.Request) {
		return nil, nil
	}
	d := &Draft{Event: c.Request.Event(), Data: Data{Room: v.Room}}
	switch r := c.Request.(type) {
	case DeleteRequest:
		d.Data.DeletedBy = r.DeletedBy
	case JoinRequest:
		d.Data.JoiningUser, d.Data.Inviter = &r.User, r.Inviter
	case LeaveRequest:
		d.Data.LeavingUser, d.Data.RemovedBy = &r.User, r.RemovedBy
	}
	return d, nil
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
	body, err := json.Marshal(d.Data)
	if err != nil {
		return err
	}
	if len(body) > d.MaxBytes {
		return fmt.Errorf("its body takes %d bytes, it may take %d", len(body), d.MaxBytes)
	}
	return nil
}

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
	}
	return data
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
