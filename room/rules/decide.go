package rules

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roombus/roombus/room"
)

// Draft is a change that is not committed yet, with the outcomes and warnings of the apps so far.
type Draft struct {
	Event room.EventType
	Data  room.Data
	Bounds
	former []member // the members at a deletion
}

// Bounds are the maximum sizes of an event's body in bytes; 0 means unlimited.
type Bounds struct {
	MaxBytes int // without the outcomes and warnings of apps; apps must not exceed it either
	MaxWhole int // with outcomes and warnings, which are cut to fit
}

// Decide checks whether the command is possible and drafts the change. It returns
//
//   - a draft, if the room would change;
//   - nil and no error, if the command would change nothing;
//   - an error of code room_not_found, room_exists or member_not_found; conflict if an update expects
//     another version; invalid_request if its patch does not fit the room; or too_large if the event
//     exceeds the size of a message.
func Decide(v View, c Command) (*Draft, error) {
	d, err := decide(v, c)
	if d == nil {
		return nil, err
	}
	d.Bounds = c.Bounds
	if c.mayBeTooLarge() {
		if err := d.fits(); err != nil {
			return nil, room.Errorf(room.CodeTooLarge, "the event is too large: %v", err)
		}
	}
	return d, nil
}

func decide(v View, c Command) (*Draft, error) {
	if r, ok := c.Request.(room.CreateRequest); ok {
		if v.Exists {
			return nil, room.Errorf(room.CodeRoomExists, "there is a room %q already", r.Room.ID)
		}
		return &Draft{Event: room.EventCreate, Data: r.Data(latest(c.Time, v.LatestAt))}, nil
	}
	if !v.Exists {
		return nil, room.NotFound(c.Request.Target())
	}
	switch r := c.Request.(type) {
	case room.UpdateRequest:
		return update(v, r)
	case room.UpdateMemberRequest:
		return updateMember(v, r)
	}
	if !v.Changes(c.Request) {
		return nil, nil
	}
	d := &Draft{Event: c.Request.Event(), Data: room.Data{Room: v.Room}}
	// The stored users take precedence over the users in the request.
	subject, actor := cmp.Or(v.Subject, c.Request.Subject()), cmp.Or(v.Actor, c.Request.Actor())
	switch d.Event {
	case room.EventDelete:
		d.Data.DeletedBy, d.former = actor, v.former
	case room.EventUserJoin:
		d.Data.JoiningUser, d.Data.Inviter = subject, actor
	case room.EventUserLeave:
		d.Data.LeavingUser, d.Data.RemovedBy = subject, actor
	}
	return d, nil
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// fits returns an error if the body exceeds MaxBytes.
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

// size returns the size of the body without the outcomes and warnings of apps, before or after the
// change, whichever is larger.
func (d Draft) size() (int, error) {
	data := d.Data
	data.Apps, data.Warnings = nil, nil
	body, err := json.Marshal(data)
	if err != nil || data.After == nil {
		return len(body), err
	}
	data.Room = *data.After
	after, err := json.Marshal(data)
	return max(len(body), len(after)), err
}

// Time returns the event's time for a decision at that time. It is never before the room's previous event.
func (v View) Time(decided time.Time) time.Time { return latest(decided, v.LatestAt) }

// Final is the body of the post-event: the room as it is after the change.
func (d Draft) Final() room.Data {
	data := d.Data
	data.Room.Version++
	switch d.Event {
	case room.EventUpdate:
		data.Room = *data.After
	case room.EventCreate:
		data.Room.MemberCount = len(data.Members)
	case room.EventUserJoin:
		data.Room.MemberCount++
	case room.EventUserLeave:
		data.Room.MemberCount--
	case room.EventDelete:
		data.Members = d.formerMembers()
	}
	return data
}

// formerMembers returns as many members as fit into the event of a deletion, in order.
func (d Draft) formerMembers() []room.User {
	size, err := d.size()
	if err != nil {
		return nil
	}
	left := d.MaxBytes - size - len(`"members":[],`)
	users := make([]room.User, 0, len(d.former))
	for _, m := range d.former {
		u := m.user()
		if d.MaxBytes > 0 {
			record, _ := json.Marshal(u) // cannot fail: it was decoded from JSON
			if left -= len(record) + 1; left < 0 {
				break
			}
		}
		users = append(users, u)
	}
	return users
}
