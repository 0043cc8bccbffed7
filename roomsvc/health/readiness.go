package health

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// failureFades is how long a failed commit counts. Without commands there is no later commit that
// could succeed, and a service that is not ready may get no commands.
const failureFades = 15 * time.Second

// Readiness says whether a service can commit.
type Readiness struct {
	Ready    bool   `json:"ready"`
	NotReady string `json:"not_ready,omitempty"` // the reason
}

// facts determine the readiness of a service.
type facts struct {
	look
	lost         error // the service stands by
	starting     bool
	disconnected bool
	failure      *commitFailure // no commit has succeeded since
}

// commitFailure is a commit that JetStream did not store.
type commitFailure struct {
	err error
	at  time.Time
}

// verdict returns the readiness at that time. Of several reasons it names the one that may cause
// the others.
func (f facts) verdict(now time.Time) Readiness {
	var reason string
	switch {
	case f.lost != nil:
		reason = f.lost.Error()
	case f.starting:
		reason = "the service is starting"
	case f.disconnected:
		reason = "the connection to NATS is down"
	case errors.Is(f.leader, jetstream.ErrStreamNotFound):
		reason = fmt.Sprintf("the stream %s is gone", subjects.Events)
	case f.leader != nil:
		reason = fmt.Sprintf("the leader of stream %s does not answer: %v", subjects.Events, f.leader)
	case f.full:
		reason = "the JetStream account has no storage left"
	case f.failure != nil && now.Sub(f.failure.at) < failureFades:
		reason = fmt.Sprintf("the last commit failed: %v", f.failure.err)
	case f.apps != "":
		reason = f.apps
	case f.behind > 0:
		reason = fmt.Sprintf("the service has yet to read %d events of stream %s", f.behind, subjects.Events)
	}
	return Readiness{Ready: reason == "", NotReady: reason}
}

// readiness collects the facts.
type readiness struct {
	cfg     Config
	lost    atomic.Pointer[error]
	started atomic.Bool
	found   atomic.Pointer[look]
	failure atomic.Pointer[commitFailure]

	// Only the goroutine that reports uses these two.
	notReady bus.Outage
	reported Readiness
}

// Lost records that the service stands by because it has lost its data, nil: it no longer does.
func (r *readiness) Lost(err error) { r.lost.Store(&err) }

// Started records that the service has started.
func (r *readiness) Started() { r.started.Store(true) }

// NotCommitted records a commit that ended with the error. A conflict or an event that is too large
// does not show that JetStream refuses commits.
func (r *readiness) NotCommitted(err error) {
	if errors.Is(err, bus.ErrRefused) || errors.Is(err, bus.ErrUncertain) {
		r.failure.Store(&commitFailure{err, time.Now()})
	}
}

// Committed records a commit that succeeded.
func (r *readiness) Committed() {
	if r.failure.Load() != nil {
		r.failure.Store(nil)
	}
}

// Readiness returns the readiness at that time, as of the last check.
func (r *readiness) Readiness(at time.Time) Readiness {
	f := facts{starting: !r.started.Load(), disconnected: !r.cfg.Conn.IsConnected(), failure: r.failure.Load()}
	if lost := r.lost.Load(); lost != nil {
		f.lost = *lost
	}
	if found := r.found.Load(); found != nil {
		f.look = *found
	}
	return f.verdict(at)
}

// Report calls Config.OnReadiness if the readiness has changed.
func (r *readiness) Report() Readiness {
	is := r.Readiness(time.Now())
	if is != r.reported {
		r.reported = is
		r.cfg.OnReadiness(is)
	}
	return is
}

// watch checks the dependencies of commits periodically until the context ends. It reports the
// readiness, and logs when the service becomes unready and ready.
func (r *readiness) watch(ctx context.Context) {
	for {
		found := r.look(ctx)
		if ctx.Err() != nil {
			return
		}
		r.found.Store(&found)
		r.logChange(r.Report())
		if !bus.Sleep(ctx, lookInterval) {
			return
		}
	}
}

func (r *readiness) logChange(is Readiness) {
	now := time.Now()
	if !is.Ready {
		if r.notReady.Failed(now) {
			r.cfg.Logger.Warn("not ready: changes of rooms cannot be committed", "reason", is.NotReady)
		}
		return
	}
	if lasted, log := r.notReady.Ended(now); log {
		r.cfg.Logger.Info("ready again", "outage", lasted.Round(time.Millisecond))
	}
}
