package rules

import (
	"cmp"
	"time"

	"github.com/roombus/roombus/room"
)

// Command requests one change of one room. Its id is also the id of its pre-events, its post-event
// and its trace. A client that sends the command again uses the same id.
type Command struct {
	ID          string
	Time        time.Time
	TraceParent string // W3C trace context
	Bounds
	Bytes    int      // size of the request, 0 if unknown
	CausedBy []string // the ids of the commands that led to it, oldest first
	Request  room.Request
}

// mayBeTooLarge reports whether the event's body could exceed MaxBytes. The body contains the room's
// record and the content of the request, or the room's stored users in place of the request's. An
// update contains the record or the user before and after it, too. Each byte of the request may take
// six bytes when it is encoded again.
func (c Command) mayBeTooLarge() bool {
	const names = 1 << 10 // of fields
	stored := room.MaxRoomBytes + 2*room.MaxUserBytes
	switch c.Request.(type) {
	case room.UpdateRequest:
		stored += 4 * room.MaxRoomBytes // before, after, and the names of the fields in both
	case room.UpdateMemberRequest:
		stored += 4 * room.MaxUserBytes // before, after, and the names of the fields in both
	}
	return c.Bytes == 0 || stored+6*c.Bytes+names > c.MaxBytes
}

// UserID is the id of the request's subject, or of its actor if there is no subject. It is empty if the
// request has neither. The commands of this user in one room keep their order, and a failure of an app
// counts for this user.
func UserID(r room.Request) string {
	if u := cmp.Or(r.Subject(), r.Actor()); u != nil {
		return u.ID
	}
	return ""
}
