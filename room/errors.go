package room

import (
	"errors"
	"fmt"
)

// Code is the kind of an error of the room service. The body of the reply contains the code, the
// Nats-Service-Error-Code header its Status.
type Code string

// The codes of the service's errors.
const (
	// CodeInvalidRequest is returned when a request is not JSON, has an unknown or missing
	// field, a bad token or a bad type.
	CodeInvalidRequest Code = "invalid_request"
	// CodePrevented is returned when an app prevented the creation, update or deletion of a room, or
	// the update of a member.
	CodePrevented Code = "prevented"
	// CodeUserNotAllowed is returned when an app refused a join or leave.
	CodeUserNotAllowed Code = "user_not_allowed"
	// CodeRoomNotFound is returned when no room of that id exists.
	CodeRoomNotFound Code = "room_not_found"
	// CodeMemberNotFound is returned when the user to update is not a member of the room.
	CodeMemberNotFound Code = "member_not_found"
	// CodeAppNotFound is returned when no app of that id is registered.
	CodeAppNotFound Code = "app_not_found"
	// CodeParamNotFound is returned when there is no document of that name.
	CodeParamNotFound Code = "param_not_found"
	// CodeRoomExists is returned when a room with that id already exists.
	CodeRoomExists Code = "room_exists"
	// CodeConflict is returned when too many changes of one room run at once; retry. It is returned for an
	// update when the room has another version than the request expects, or the document to replace has
	// another revision; read it again. It is
	// returned for a read when the stream ends before the requested sequence; retry without a sequence.
	CodeConflict Code = "conflict"
	// CodeTooLarge is returned when a room's record, the members of a creation, or a message
	// exceeds its bound.
	CodeTooLarge Code = "too_large"
	// CodeOverloaded is returned at once when the service has reached its maximum of commands in
	// flight; retry with backoff.
	CodeOverloaded Code = "overloaded"
	// CodeEssentialAppUnavailable is returned when an essential app is disabled, unavailable,
	// failed or late.
	CodeEssentialAppUnavailable Code = "essential_app_unavailable"
	// CodeUnavailable is returned when JetStream cannot commit now, or when no room service
	// answers; retry with the same command id.
	CodeUnavailable Code = "unavailable"
	// CodeDeadlineExceeded is returned when the command's time budget has run out; retry with the same
	// command id. It is returned for a read when the replica does not reach the requested sequence in
	// time.
	CodeDeadlineExceeded Code = "deadline_exceeded"
)

var statuses = map[Code]int{
	CodeInvalidRequest:          400,
	CodePrevented:               403,
	CodeUserNotAllowed:          403,
	CodeRoomNotFound:            404,
	CodeMemberNotFound:          404,
	CodeAppNotFound:             404,
	CodeParamNotFound:           404,
	CodeRoomExists:              409,
	CodeConflict:                409,
	CodeTooLarge:                413,
	CodeOverloaded:              429,
	CodeEssentialAppUnavailable: 503,
	CodeUnavailable:             503,
	CodeDeadlineExceeded:        504,
}

// Status returns the HTTP status with which an HTTP front answers, 500 for an unknown code.
func (c Code) Status() int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return 500
}

// Error is the error type of the room service, on the wire and in Go. errors.As finds it in all errors of
// the service and its clients. errors.Is compares the code.
//
// Reason is for the refused user. Message and Apps are for operators: they may contain the
// failures of apps.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// CommandID is the id of the failed command. Its rejection has the same id, and a retry must use it. It is
	// empty if the error does not belong to a command, or if the command was refused before it had an id.
	CommandID string       `json:"commandId,omitempty"`
	App       string       `json:"app,omitempty"`    // the app that denied or gave no answer
	Reason    string       `json:"reason,omitempty"` // the app's reason, for the user
	Apps      []AppOutcome `json:"apps,omitempty"`   // the outcomes of all apps asked
	Cut       Cut          `json:"cut,omitzero"`     // what was cut from Apps
	// Version is set, with code conflict, if an update expected another version of the room: it is the
	// version that the room has. A document has its revision there. Sending the request again cannot succeed.
	Version uint64 `json:"version,omitempty"`
	// NeverRegistered is set, with code app_not_found, if the registry has no record of the app: no operator
	// removed it. If the app was registered before, its registration was lost with the registry.
	NeverRegistered bool `json:"neverRegistered,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// Is reports whether target is an *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// IsDenial reports whether an app denied the command.
func (e *Error) IsDenial() bool { return e.Code == CodePrevented || e.Code == CodeUserNotAllowed }

// IsRefusal reports whether an app caused the error: it denied the command, or its answer was required
// and missing.
func IsRefusal(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.App != ""
}

// Errorf returns an Error with a message formatted as by fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound returns the error for a room that does not exist.
func NotFound(id string) *Error { return Errorf(CodeRoomNotFound, "there is no room %q", id) }

// invalid shortens the message, because it may quote input of any length.
func invalid(format string, args ...any) *Error {
	e := Errorf(CodeInvalidRequest, format, args...)
	e.Message = cut(e.Message)
	return e
}

// message returns the message of an error without its code.
func message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func tooLarge(format string, args ...any) *Error { return Errorf(CodeTooLarge, format, args...) }

// DenialError is returned by an app's handler to prevent a creation, update or deletion, or to refuse
// a join or leave.
type DenialError struct{ Reason string }

func (d *DenialError) Error() string { return "denied: " + d.Reason }

// Prevented denies the creation, update or deletion of a room, or the update of a member. The reason
// is shown to the user.
func Prevented(reason string) error { return &DenialError{Reason: reason} }

// UserNotAllowed refuses a join or leave. The reason is shown to the user.
func UserNotAllowed(reason string) error { return &DenialError{Reason: reason} }
