package room

import (
	"encoding/json"
	"time"
)

// RejectionKind says why an action did not happen.
type RejectionKind string

// The kinds of rejections.
const (
	RejectionDenied  RejectionKind = "denied"  // an app denied it
	RejectionBlocked RejectionKind = "blocked" // an app that had to be heard gave no usable answer
	RejectionAborted RejectionKind = "aborted" // no app was against it, but it could not be committed
)

// RejectionKinds lists every kind of rejection.
func RejectionKinds() []RejectionKind {
	return []RejectionKind{RejectionDenied, RejectionBlocked, RejectionAborted}
}

// MaxRejectedRequest is how large a request may be to stand in its rejection, in bytes.
const MaxRejectedRequest = 64 << 10

// Rejection is an action that did not happen, with what every app asked had said: a message
// of the stream of rejections.
type Rejection struct {
	ID      string        `json:"id"`      // of the command
	Time    time.Time     `json:"time"`    // when the command was begun
	Command string        `json:"command"` // create, delete, join or leave
	Room    string        `json:"room"`
	User    string        `json:"user,omitempty"` // whose membership it was about
	Kind    RejectionKind `json:"kind"`
	Error   Error         `json:"error"` // as the client got it
	// CausedBy are the ids of the commands that led to this one, oldest first.
	CausedBy []string `json:"causedBy,omitempty"`
	// Request is the command's body, unless it is too large.
	Request json.RawMessage `json:"request,omitempty"`
}

// Reject is the rejection of a command that ended in the error; false if the error says that
// the command was not possible in the first place, or asks to try again later.
func Reject(c Command, e *Error) (Rejection, bool) {
	kind := e.Rejection()
	if kind == "" {
		return Rejection{}, false
	}
	r := Rejection{
		ID: c.ID, Time: c.Time, Command: c.Request.Event().Command(), Room: c.Request.Target(), Kind: kind, Error: *e, CausedBy: c.CausedBy,
	}
	r.Error.CommandID = c.ID
	if u := c.Request.Subject(); u != nil {
		r.User = u.ID
	}
	said, _ := json.Marshal(e.Apps) // it came as JSON
	if body, err := json.Marshal(c.Request); err == nil && len(body) <= MaxRejectedRequest && (c.MaxWhole == 0 || len(body)+len(said) <= c.MaxWhole) {
		r.Request = body
	}
	return r, true
}

// Asked is what the command would have changed, as far as its request says: the data its event
// would have begun with.
func (r Rejection) Asked() Data {
	switch r.Command {
	case EventCreate.Command():
		var q CreateRequest
		if DecodeLenient(r.Request, &q) == nil {
			return q.draft(r.Time).Data
		}
	case EventDelete.Command():
		var q DeleteRequest
		_ = DecodeLenient(r.Request, &q) // it may have been too large to stand there, here and below
		return Data{DeletedBy: q.DeletedBy}
	case EventUserJoin.Command():
		q := JoinRequest{User: User{ID: r.User}}
		_ = DecodeLenient(r.Request, &q)
		return Data{JoiningUser: &q.User, Inviter: q.Inviter}
	case EventUserLeave.Command():
		q := LeaveRequest{User: User{ID: r.User}}
		_ = DecodeLenient(r.Request, &q)
		return Data{LeavingUser: &q.User, RemovedBy: q.RemovedBy}
	}
	return Data{}
}

// Rejection is the kind of the rejection that the service records of a command that ends in the error;
// empty if it records none.
func (e *Error) Rejection() RejectionKind {
	switch {
	case e.IsDenial():
		return RejectionDenied
	case e.App != "":
		return RejectionBlocked
	case e.Code == CodeConflict, e.Code == CodeUnavailable, e.Code == CodeDeadlineExceeded, len(e.Apps) > 0:
		return RejectionAborted
	}
	return ""
}
