package appworker

import (
	"errors"
	"fmt"
	"time"
)

// ErrSkip is what a pre-event handler returns for an event that is not the app's business.
// Unlike an allow, it is recorded as skipped.
var ErrSkip = errors.New("skip")

// UnavailableError is returned by Unavailable.
type UnavailableError struct{ Err error }

func (u *UnavailableError) Error() string { return fmt.Sprintf("unavailable: %v", u.Err) }
func (u *UnavailableError) Unwrap() error { return u.Err }

// Unavailable is what a pre-event handler returns if this replica cannot decide now, but
// another one may, such as when it has lost its database: the room service asks another one
// at once. Any other error is the app's failure.
func Unavailable(err error) error { return &UnavailableError{Err: err} }

// RetryError is returned by RetryLater.
type RetryError struct {
	After time.Duration
	Err   error
}

func (r *RetryError) Error() string { return fmt.Sprintf("retry in %s: %v", r.After, r.Err) }
func (r *RetryError) Unwrap() error { return r.Err }

// RetryLater is what a post-event handler returns to get the event again, not before that
// time has passed.
func RetryLater(after time.Duration, err error) error { return &RetryError{After: after, Err: err} }

// DiscardError is returned by Discard.
type DiscardError struct{ Err error }

func (d *DiscardError) Error() string { return fmt.Sprintf("discarded: %v", d.Err) }
func (d *DiscardError) Unwrap() error { return d.Err }

// Discard is what a post-event handler returns for an event that it will never be able to
// process: the event is not delivered to the app again.
func Discard(err error) error { return &DiscardError{Err: err} }

// The delays before an event is delivered again, if the handler does not say.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retryDelay grows with how often the event has been delivered.
func retryDelay(delivered uint64) time.Duration {
	return min(firstRetry<<min(max(delivered, 1)-1, 10), lastRetry)
}
