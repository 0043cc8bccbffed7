package hooks

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// breaker keeps an app that fails repeatedly for one interface from being asked, except for probes.
// An app without a worker does not open it, since that is known at once. Instead the service stops
// waiting for the app after a few calls without responders.
type breaker struct {
	app          string
	on           room.Interface
	pause        time.Duration
	trip         uint32 // failures in a row that open it
	log          *slog.Logger
	current      atomic.Pointer[twoStepBreaker]
	run          failureRun
	noResponders atomic.Uint32          // calls in a row without responders
	last         atomic.Pointer[string] // the latest failure
	slow         atomic.Bool            // the last answer that the grace applied to came later than that
}

type twoStepBreaker = gobreaker.TwoStepCircuitBreaker[struct{}]

var (
	errFailure = errors.New("failure")
	// errNoSign marks an answer that shows neither success nor failure of the app.
	errNoSign = errors.New("no sign")
)

func newBreaker(app string, i room.Interface, cfg Config) *breaker {
	b := &breaker{app: app, on: i, pause: cfg.BreakerPause, trip: uint32(cfg.BreakerFailures), log: cfg.Logger}
	b.run.most = (b.trip + 1) / 2
	b.current.Store(b.newClosed(b.pause, b.report))
	return b
}

// newClosed returns a closed breaker. Once open it stays open for the pause.
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

// newOpen returns a breaker that is open for the pause.
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

// revive lets the next command probe an app whose breaker is open, since the app has shown that it
// is alive. If the probe fails the breaker is open again, for the usual pause.
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

// report logs that the breaker has opened or closed, but not each probe.
func (b *breaker) report(from, to gobreaker.State) {
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		b.log.Warn("breaker open: the app is only probed", "app", b.app, "interface", b.on, "failures", b.trip, "last", b.cause())
	case to == gobreaker.StateClosed:
		b.log.Info("breaker closed: the app answers again", "app", b.app, "interface", b.on)
	}
}

// allow returns a function to call with the outcome of asking the app, or an error that says why
// the app must not be asked.
func (b *breaker) allow(from origin) (done func(rules.Answer), err error) {
	began := time.Now()
	ended, err := b.current.Load().Allow()
	if err != nil {
		return nil, fmt.Errorf("breaker open after %d failures in a row, the last: %s", b.trip, b.cause())
	}
	return func(a rules.Answer) { ended(b.sign(a, from, began)) }, nil
}

// sign returns what an answer shows about the app: nil for success, errFailure or errNoSign. from
// is the origin of the command, began is when the app was asked.
func (b *breaker) sign(a rules.Answer, from origin, began time.Time) error {
	switch {
	case a.Outcome.Answered():
		b.noResponders.Store(0)
		b.run.end()
		return nil
	case a.Hurried, a.Outcome == "": // it had too little time, or the service did not wait for it
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
	// One user's bad input can fail a probe too.
	if spread := b.run.failure(from, began); !spread && b.current.Load().State() == gobreaker.StateHalfOpen {
		return errNoSign
	}
	return errFailure
}

// patient reports whether to wait for a worker of an essential app. It is false after a few calls
// in a row without responders.
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
