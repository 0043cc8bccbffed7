package roomsvc

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/roombus/roombus/room"
)

// circuit keeps an app that keeps failing for one interface from being asked, but for a probe
// now and then. An app without a worker needs no breaker, as that is known at once; what it
// has is patience, which ends.
type breaker struct {
	app          string
	on           room.Interface
	pause        time.Duration
	trip         uint32 // how many failures in a row are too many
	log          *slog.Logger
	current      atomic.Pointer[twoStepBreaker]
	run          failureRun
	noResponders atomic.Uint32
	last         atomic.Pointer[string] // the latest failure
	slow         atomic.Bool            // it did not come within the grace, the last time it counted
}

type twoStepBreaker = gobreaker.TwoStepCircuitBreaker[struct{}]

var (
	errFailure = errors.New("failure")
	// errNoSign is what an answer is for the breaker that says nothing about how the app is.
	errNoSign = errors.New("no sign")
)

func newBreaker(app string, i room.Interface, cfg Config) *breaker {
	b := &breaker{app: app, on: i, pause: cfg.BreakerPause, trip: uint32(cfg.BreakerFailures), log: cfg.Logger}
	b.run.most = (b.trip + 1) / 2
	b.current.Store(b.newClosed(b.pause, b.report))
	return b
}

// newBreaker makes a breaker that is closed. Once open it is for the pause.
func (b *breaker) newClosed(pause time.Duration, changed func(from, to gobreaker.State)) *twoStepBreaker {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        b.app,
		MaxRequests: 1,
		Timeout:     pause,
		ReadyToTrip: func(gobreaker.Counts) bool { return b.run.weight() >= b.trip },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoSign) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.run.end()
			changed(from, to)
		},
	})
}

// opened makes a breaker that has just opened, for that long.
func (b *breaker) newOpen(pause time.Duration, changed func(from, to gobreaker.State)) *twoStepBreaker {
	made := false
	opened := b.newClosed(pause, func(from, to gobreaker.State) {
		if made {
			changed(from, to)
		}
	})
	b.run.fill(b.trip)
	if ended, err := opened.Allow(); err == nil {
		ended(errFailure)
	}
	made = true
	return opened
}

// revive has the next command probe an app whose breaker is open: there is news that the app is
// alive. If the probe fails the breaker is open again, for the usual pause.
func (b *breaker) revive() {
	b.noResponders.Store(0)
	if b.current.Load().State() != gobreaker.StateOpen {
		return
	}
	b.current.Store(b.newOpen(1, func(from, to gobreaker.State) {
		switch to {
		case gobreaker.StateOpen:
			b.current.Store(b.newOpen(b.pause, b.report))
		case gobreaker.StateClosed:
			b.current.Store(b.newClosed(b.pause, b.report))
			b.report(from, to)
		}
	}))
}

// report logs that the app is not asked any more, and that it is again, not each probe.
func (b *breaker) report(from, to gobreaker.State) {
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		b.log.Warn("breaker open: the app is not asked but for probes", "app", b.app, "interface", b.on, "failures", b.trip, "last", b.cause())
	case to == gobreaker.StateClosed:
		b.log.Info("breaker closed: the app answers again", "app", b.app, "interface", b.on)
	}
}

// allow returns what to call once it is known how asking the app ended, or an error that says
// why it is not to be asked.
func (b *breaker) allow(from origin) (done func(room.Answer), err error) {
	began := time.Now()
	ended, err := b.current.Load().Allow()
	if err != nil {
		return nil, fmt.Errorf("breaker open after %d failures in a row, the last: %s", b.trip, b.cause())
	}
	return func(a room.Answer) { ended(b.sign(a, from, began)) }, nil
}

// sign is what an answer to a command from there, asked for at that time, says about how the app is.
func (b *breaker) sign(a room.Answer, from origin, began time.Time) error {
	switch {
	case a.Outcome.Answered():
		b.noResponders.Store(0)
		b.run.end()
		return nil
	case a.Hurried, a.Outcome == "": // it had no time, or nobody has listened
		return errNoSign
	case a.Outcome == room.Unavailable:
		b.noResponders.Add(1)
		return errNoSign
	}
	b.noResponders.Store(0)
	reason := a.Reason
	b.last.Store(&reason)
	if a.Outcome == room.TimedOut {
		b.run.timeout(began)
		return errFailure
	}
	// A probe that failed may have been one user's bad input too.
	if spread := b.run.failure(from, began); !spread && b.current.Load().State() == gobreaker.StateHalfOpen {
		return errNoSign
	}
	return errFailure
}

// patient reports whether an essential app without a worker is worth waiting for: not after
// it has been waited for in vain a few times in a row.
func (b *breaker) patient() bool { return b.noResponders.Load() < b.trip }

func (b *breaker) cause() string {
	if reason := b.last.Load(); reason != nil {
		return *reason
	}
	return ""
}

func (b *breaker) state() room.Breaker {
	switch b.current.Load().State() {
	case gobreaker.StateOpen:
		return room.BreakerOpen
	case gobreaker.StateHalfOpen:
		return room.BreakerHalfOpen
	}
	return room.BreakerClosed
}
