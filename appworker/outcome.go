package appworker

import (
	"errors"
	"fmt"
	"time"
)

// ErrSkip is what a pre-event handler returns for an event that is not the app's business.
// Unlike an allow, it is recorded as skipped.
var ErrSkip = errors.New("skip")

// Retry is returned by RetryLater.
type Retry struct {
	After time.Duration
	Err   error
}

func (r *Retry) Error() string { return fmt.Sprintf("retry in %s: %v", r.After, r.Err) }
func (r *Retry) Unwrap() error { return r.Err }

// RetryLater is what a post-event handler returns to get the event again, not before that
// time has passed.
func RetryLater(after time.Duration, err error) error { return &Retry{After: after, Err: err} }

// Discarded is returned by Discard.
type Discarded struct{ Err error }

func (d *Discarded) Error() string { return fmt.Sprintf("discarded: %v", d.Err) }
func (d *Discarded) Unwrap() error { return d.Err }

// Discard is what a post-event handler returns for an event that it will never be able to
// process: the event is not delivered to the app again.
func Discard(err error) error { return &Discarded{Err: err} }

// Panic is the failure of a handler that panicked.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// The delays before an event is delivered again, if the handler does not say.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retryDelay grows with how often the event has been delivered.
func retryDelay(delivered uint64) time.Duration {
	return min(firstRetry<<min(max(delivered, 1)-1, 10), lastRetry)
}
