package room

import (
	"encoding/json"
	"time"
)

// RejectionKind is the reason why an action did not happen.
type RejectionKind string

// The kinds of rejections.
const (
	RejectionDenied  RejectionKind = "denied"  // an app denied it
	RejectionBlocked RejectionKind = "blocked" // a required answer of an app was missing or unusable
	RejectionAborted RejectionKind = "aborted" // no app denied it, but it could not be committed
)

// RejectionKinds lists every kind of rejection.
func RejectionKinds() []RejectionKind {
	return []RejectionKind{RejectionDenied, RejectionBlocked, RejectionAborted}
}

// MaxRejectedRequest is the maximum size of a request in its rejection, in bytes.
const MaxRejectedRequest = 64 << 10

// Rejection is an action that did not happen, with the outcomes of all apps asked: a message
// of the stream of rejections.
type Rejection struct {
	ID      string        `json:"id"`      // of the command
	Time    time.Time     `json:"time"`    // start of the command
	Command string        `json:"command"` // create, update, delete, join, leave or updatemember
	Room    string        `json:"room"`
	User    string        `json:"user,omitempty"` // the user that wanted to join or leave, or was to be updated
	Kind    RejectionKind `json:"kind"`
	Error   Error         `json:"error"` // as sent to the client
	// CausedBy are the ids of the commands that led to this one, oldest first.
	CausedBy []string `json:"causedBy,omitempty"`
	// Request is the command's body, absent if it is too large.
	Request json.RawMessage `json:"request,omitempty"`
}

// Asked returns the data of the change that the command requested, as far as its request is known.
func (r Rejection) Asked() Data {
	switch r.Command {
	case EventCreate.Command():
		var q CreateRequest
		if DecodeLenient(r.Request, &q) == nil {
			return q.Data(r.Time)
		}
	case EventDelete.Command():
		var q DeleteRequest
		_ = DecodeLenient(r.Request, &q) // fails if the request was too large for the rejection, here and below
		return Data{DeletedBy: q.DeletedBy}
	case EventUserJoin.Command():
		q := JoinRequest{User: User{ID: r.User}}
		_ = DecodeLenient(r.Request, &q)
		return Data{JoiningUser: &q.User, Inviter: q.Inviter}
	case EventUserLeave.Command():
		q := LeaveRequest{User: User{ID: r.User}}
		_ = DecodeLenient(r.Request, &q)
		return Data{LeavingUser: &q.User, RemovedBy: q.RemovedBy}
	case EventUpdate.Command():
		var q UpdateRequest
		_ = DecodeLenient(r.Request, &q)
		return Data{Changed: q.Patch.fields(), UpdatedBy: q.UpdatedBy}
	case EventUserUpdate.Command():
		var q UpdateMemberRequest
		_ = DecodeLenient(r.Request, &q)
		return Data{UserAfter: &User{ID: r.User}, Changed: q.User.fields(), UpdatedBy: q.UpdatedBy}
	}
	return Data{}
}

// Rejection returns the kind of rejection that the service records for a command that ends in the error,
// or "" if it records none.
func (e *Error) Rejection() RejectionKind {
	switch {
	case e.IsDenial():
		return RejectionDenied
	case e.App != "":
		return RejectionBlocked
	case e.Version > 0: // the client was late
		return ""
	case e.Code == CodeConflict, e.Code == CodeUnavailable, e.Code == CodeDeadlineExceeded, len(e.Apps) > 0:
		return RejectionAborted
	}
	return ""
}
