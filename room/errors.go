package room

import (
	"errors"
	"fmt"
)

// Code says what kind of error the room service answered with. It stands in the body of the
// reply; its Status stands in the Nats-Service-Error-Code header.
type Code string

// The codes of the service's errors.
const (
	// CodeInvalidRequest is returned when a request is not JSON, has an unknown or missing
	// field, a bad token or a bad type.
	CodeInvalidRequest Code = "invalid_request"
	// CodePrevented is returned when an app prevented the creation or deletion of a room.
	CodePrevented Code = "prevented"
	// CodeUserNotAllowed is returned when an app refused a join or leave.
	CodeUserNotAllowed Code = "user_not_allowed"
	// CodeRoomNotFound is returned when there is no live room of that id.
	CodeRoomNotFound Code = "room_not_found"
	// CodeAppNotFound is returned when no app of that id is registered.
	CodeAppNotFound Code = "app_not_found"
	// CodeRoomExists is returned when a live room has that id already.
	CodeRoomExists Code = "room_exists"
	// CodeConflict is returned when too many changes of one room ran at once; retry. A read gets it
	// when the stream ends before the sequence that the read asks for; retry without.
	CodeConflict Code = "conflict"
	// CodeTooLarge is returned when a room's record, the members of a creation, or a message
	// is over its bound.
	CodeTooLarge Code = "too_large"
	// CodeOverloaded is returned at once when the service has as many commands in flight as
	// it admits; retry with backoff.
	CodeOverloaded Code = "overloaded"
	// CodeEssentialAppUnavailable is returned when an essential app is disabled, absent,
	// failed or late.
	CodeEssentialAppUnavailable Code = "essential_app_unavailable"
	// CodeUnavailable is returned when JetStream cannot commit now, or when no room service
	// answers; retry with the same command id.
	CodeUnavailable Code = "unavailable"
	// CodeDeadlineExceeded is returned when the command's own time budget ran out; retry
	// with the same command id. A read gets it when the replica did not reach the sequence that
	// the read asks for in time.
	CodeDeadlineExceeded Code = "deadline_exceeded"
)

var statuses = map[Code]int{
	CodeInvalidRequest:          400,
	CodePrevented:               403,
	CodeUserNotAllowed:          403,
	CodeRoomNotFound:            404,
	CodeAppNotFound:             404,
	CodeRoomExists:              409,
	CodeConflict:                409,
	CodeTooLarge:                413,
	CodeOverloaded:              429,
	CodeEssentialAppUnavailable: 503,
	CodeUnavailable:             503,
	CodeDeadlineExceeded:        504,
}

// Status is the code's number in the manner of HTTP, 500 for a code that is not known.
func (c Code) Status() int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return 500
}

// Error is the one error of the room service, over the wire and in Go: errors.As finds it in
// whatever the service and its clients return, errors.Is compares by code.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// CommandID is the id of the command that failed: that of its rejection, and the one to send it again
	// with. It is empty if the error is not that of a command, or the command was refused before it had one.
	CommandID string       `json:"commandId,omitempty"`
	App       string       `json:"app,omitempty"`    // the app that denied, or could not answer
	Reason    string       `json:"reason,omitempty"` // why it did, to be shown to the user
	Apps      []AppOutcome `json:"apps,omitempty"`   // what every app asked had said
	Cut       Cut          `json:"cut,omitzero"`     // of apps, what there was no room for
	// NeverRegistered says, with code app_not_found, that the registry has no trace of the app: no operator has
	// removed it. An app that was registered before has been lost with the registry.
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

// IsRefusal reports whether the error says that apps did not let a command pass: one denied it,
// or had to be heard and gave no answer.
func IsRefusal(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.App != ""
}

// Errorf makes an Error; the format is that of fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound is the error for a room that does not live.
func NotFound(id string) *Error { return Errorf(CodeRoomNotFound, "there is no room %q", id) }

// invalid may quote what somebody wrote, which may be as long as a message.
func invalid(format string, args ...any) *Error {
	e := Errorf(CodeInvalidRequest, format, args...)
	e.Message = cut(e.Message)
	return e
}

func tooLarge(format string, args ...any) *Error { return Errorf(CodeTooLarge, format, args...) }

// DenialError is what an app's handler returns to prevent a creation or deletion or to refuse a
// join or leave.
type DenialError struct{ Reason string }

func (d *DenialError) Error() string { return "denied: " + d.Reason }

// Prevented denies the creation or deletion of a room. The reason is shown to the user.
func Prevented(reason string) error { return &DenialError{Reason: reason} }

// UserNotAllowed refuses a join or leave. The reason is shown to the user.
func UserNotAllowed(reason string) error { return &DenialError{Reason: reason} }
