package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

const (
	// readinessLook is the interval between checks of the dependencies of commits.
	readinessLook = 2 * time.Second
	// failureFades is how long a failed commit counts. Without commands there is no later commit
	// that could succeed, and a service that is not ready may get no commands.
	failureFades = 15 * time.Second
	// leastStorage is the storage that the account must have left: a little more than a usual event
	// takes.
	leastStorage = 4 << 10
)

// Readiness says whether a service can commit.
type Readiness struct {
	Ready    bool   `json:"ready"`
	NotReady string `json:"not_ready,omitempty"` // the reason
}

// facts determine the readiness of a service.
type facts struct {
	look
	lost         *streams.LostError // the service stands by
	starting     bool
	disconnected bool
	failure      *commitFailure // no commit has succeeded since
}

// look is the result of one check of NATS.
type look struct {
	leader error  // of the stream of events
	full   bool   // the JetStream account has no storage left
	apps   string // why the registry is not in sync
	behind uint64 // events of the stream that the projection lacks
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
	lost    atomic.Pointer[streams.LostError]
	started atomic.Bool
	found   atomic.Pointer[look]
	failure atomic.Pointer[commitFailure]

	// Only the goroutine that reports uses these two.
	outage   bus.Outage
	reported Readiness // to Config.OnReadiness
}

// notCommitted records a commit that ended with the error. A conflict or an event that is too large
// does not show that JetStream refuses commits.
func (r *readiness) notCommitted(err error, at time.Time) {
	if errors.Is(err, bus.ErrRefused) || errors.Is(err, bus.ErrUncertain) {
		r.failure.Store(&commitFailure{err, at})
	}
}

func (r *readiness) committed() {
	if r.failure.Load() != nil {
		r.failure.Store(nil)
	}
}

// isReady returns the readiness at that time, as of the last check.
func (s *Service) isReady(now time.Time) Readiness {
	f := facts{
		lost: s.readiness.lost.Load(), starting: !s.readiness.started.Load(),
		disconnected: !s.nc.IsConnected(), failure: s.readiness.failure.Load(),
	}
	if found := s.readiness.found.Load(); found != nil {
		f.look = *found
	}
	return f.verdict(now)
}

// watchReadiness checks the dependencies of commits periodically until the context ends. It logs
// when the service becomes unready and ready.
func (s *Service) watchReadiness(ctx context.Context) {
	for {
		found := s.look(ctx)
		if ctx.Err() != nil {
			return
		}
		s.readiness.found.Store(&found)
		s.logReadiness(s.reportReadiness())
		if !bus.Sleep(ctx, readinessLook) {
			return
		}
	}
}

// reportReadiness calls Config.OnReadiness if the readiness has changed.
func (s *Service) reportReadiness() Readiness {
	is := s.isReady(time.Now())
	if is != s.readiness.reported {
		s.readiness.reported = is
		s.cfg.OnReadiness(is)
	}
	return is
}

func (s *Service) logReadiness(is Readiness) {
	now := time.Now()
	if !is.Ready {
		if s.readiness.outage.Failed(now) {
			s.log.Warn("not ready: changes of rooms cannot be committed", "reason", is.NotReady)
		}
		return
	}
	if lasted, log := s.readiness.outage.Ended(now); log {
		s.log.Info("ready again", "outage", lasted.Round(time.Millisecond))
	}
}

// look asks the leader of the stream of events for the end of the stream. The registry and the
// projection must be in sync within the rest of Config.AckWait.
func (s *Service) look(ctx context.Context) look {
	if !s.nc.IsConnected() {
		return look{} // isReady reports that
	}
	asking, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	info, err := s.streams.Events().Info(asking)
	if err != nil {
		return look{leader: err}
	}
	var l look
	if err := s.registry.AwaitSync(asking); err != nil {
		l.apps = withCode(err).Message
	}
	end := info.State.LastSeq
	if s.projection.AwaitSeq(asking, end) != nil && !s.projection.AtEnd(ctx) {
		l.behind = end - min(end, s.projection.Last())
	}
	l.full = s.isFull(ctx, info.Config.Replicas)
	return l
}

// isFull reports whether the JetStream account has no storage left for a stream with so many
// copies. If the request fails, the last result holds.
func (s *Service) isFull(ctx context.Context, copies int) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	account, err := s.js.AccountInfo(ctx)
	if err != nil {
		found := s.readiness.found.Load()
		return found != nil && found.full
	}
	return !hasStorage(account, copies)
}

// hasStorage reports whether the account may store more. It may have limits by the number of copies.
func hasStorage(account *jetstream.AccountInfo, copies int) bool {
	tier := account.Tier
	if len(account.Tiers) > 0 {
		tier = account.Tiers[fmt.Sprintf("R%d", copies)]
	}
	most := tier.Limits.MaxStore
	return most < 0 || tier.Store+leastStorage <= uint64(most)
}
