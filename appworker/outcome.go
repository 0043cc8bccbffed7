package appworker

import (
	"errors"
	"fmt"
	"time"
)

// ErrSkip is returned by a pre-event handler for an event that does not concern the app.
// The outcome is recorded as skipped, not as allowed.
var ErrSkip = errors.New("skip")

// UnavailableError is returned by Unavailable.
type UnavailableError struct{ Err error }

func (u *UnavailableError) Error() string { return fmt.Sprintf("unavailable: %v", u.Err) }
func (u *UnavailableError) Unwrap() error { return u.Err }

// Unavailable is returned by a pre-event handler if this worker cannot decide now but another worker may,
// for example because it lost its database connection. The room service asks another worker at once. Any
// other error is recorded as the app's failure.
func Unavailable(err error) error { return &UnavailableError{Err: err} }

// RetryError is returned by RetryLater.
type RetryError struct {
	After time.Duration
	Err   error
}

func (r *RetryError) Error() string { return fmt.Sprintf("retry in %s: %v", r.After, r.Err) }
func (r *RetryError) Unwrap() error { return r.Err }

// RetryLater is returned by a post-event handler to have the event redelivered, not before after has
// passed.
func RetryLater(after time.Duration, err error) error { return &RetryError{After: after, Err: err} }

// DiscardError is returned by Discard.
type DiscardError struct{ Err error }

func (d *DiscardError) Error() string { return fmt.Sprintf("discarded: %v", d.Err) }
func (d *DiscardError) Unwrap() error { return d.Err }

// Discard is returned by a post-event handler for an event that it can never process. The event becomes a
// dead letter and is not redelivered.
func Discard(err error) error { return &DiscardError{Err: err} }
