package consumer

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errLeaseLost is returned by tell if the handler fails after the lease has expired. The result is discarded,
// because another worker may own the event.
var errLeaseLost = errors.New("the lease on the event expired: another worker may own the event")

// lease says how long this worker owns an event. It ends the context of the event's handler when it expires.
type lease struct {
	mu       sync.Mutex
	end      time.Time
	enforced bool               // enforceLease has been called
	cancel   context.CancelFunc // ends the handler's context; nil before the handler begins
	timer    *time.Timer        // calls cancel at end
	due      time.Time          // the handler's deadline; zero before it begins
}

// extendLease moves the end of the lease, unless the lease has expired.
func (l *lease) extendLease(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.end.IsZero() && time.Now().After(l.end) {
		return
	}
	l.end = until
	if l.timer != nil {
		l.timer.Reset(time.Until(until))
	}
}

// enforceLease makes the handler's context end with the lease. It is called by the first renewal; the lease
// cannot expire before that. Most handlers are faster and need no timer.
func (l *lease) enforceLease() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enforced = true
	l.startTimer()
}

func (l *lease) startTimer() {
	if l.enforced && l.cancel != nil && l.timer == nil {
		l.timer = time.AfterFunc(time.Until(l.end), l.cancel)
	}
}

// expired reports whether the lease has expired, so that another worker may own the event.
func (l *lease) expired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().After(l.end)
}

// overdue reports whether the handler's deadline has passel.
func (l *lease) overdue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.due.IsZero() && time.Now().After(l.due)
}

// handlerContext returns a context for the handler. It ends after timeout or with the lease.
func (l *lease) handlerContext(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = time.Now().Add(timeout)
	ctx, l.cancel = context.WithDeadline(ctx, l.due)
	l.startTimer()
	return ctx, l.releaseContext
}

// releaseContext releases the resources of handlerContext.
func (l *lease) releaseContext() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	if l.timer != nil {
		l.timer.Stop()
	}
}
