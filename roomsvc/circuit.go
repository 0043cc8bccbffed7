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
type circuit struct {
	app     string
	on      room.Interface
	pause   time.Duration
	trip    uint32 // how many failures in a row are too many
	log     *slog.Logger
	breaker atomic.Pointer[breaker]
	run     run
	vain    atomic.Uint32
	last    atomic.Pointer[string] // the latest failure
	tardy   atomic.Bool            // it did not come within the grace, the last time it counted
}

type breaker = gobreaker.TwoStepCircuitBreaker[struct{}]

var (
	errFailure = errors.New("failure")
	// errNoSign is what an answer is for the breaker that says nothing about how the app is.
	errNoSign = errors.New("no sign")
)

func newCircuit(app string, i room.Interface, cfg Config) *circuit {
	c := &circuit{app: app, on: i, pause: cfg.BreakerPause, trip: uint32(cfg.BreakerFailures), log: cfg.Logger}
	c.run.most = (c.trip + 1) / 2
	c.breaker.Store(c.newBreaker(c.pause, c.report))
	return c
}

// newBreaker makes a breaker that is closed. Once open it is for the pause.
func (c *circuit) newBreaker(pause time.Duration, changed func(from, to gobreaker.State)) *breaker {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        c.app,
		MaxRequests: 1,
		Timeout:     pause,
		ReadyToTrip: func(gobreaker.Counts) bool { return c.run.weight() >= c.trip },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoSign) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			c.run.end()
			changed(from, to)
		},
	})
}

// opened makes a breaker that has just opened, for that long.
func (c *circuit) opened(pause time.Duration, changed func(from, to gobreaker.State)) *breaker {
	made := false
	b := c.newBreaker(pause, func(from, to gobreaker.State) {
		if made {
			changed(from, to)
		}
	})
	c.run.fill(c.trip)
	if ended, err := b.Allow(); err == nil {
		ended(errFailure)
	}
	made = true
	return b
}

// revive has the next command probe an app whose breaker is open: there is news that the app is
// alive. If the probe fails the breaker is open again, for the usual pause.
func (c *circuit) revive() {
	c.vain.Store(0)
	if c.breaker.Load().State() != gobreaker.StateOpen {
		return
	}
	c.breaker.Store(c.opened(1, func(from, to gobreaker.State) {
		switch to {
		case gobreaker.StateOpen:
			c.breaker.Store(c.opened(c.pause, c.report))
		case gobreaker.StateClosed:
			c.breaker.Store(c.newBreaker(c.pause, c.report))
			c.report(from, to)
		}
	}))
}

// report logs that the app is not asked any more, and that it is again, not each probe.
func (c *circuit) report(from, to gobreaker.State) {
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		c.log.Warn("breaker open: the app is not asked but for probes", "app", c.app, "interface", c.on, "failures", c.trip, "last", c.cause())
	case to == gobreaker.StateClosed:
		c.log.Info("breaker closed: the app answers again", "app", c.app, "interface", c.on)
	}
}

// allow returns what to call once it is known how asking the app ended, or an error that says
// why it is not to be asked.
func (c *circuit) allow(from origin) (done func(room.Answer), err error) {
	began := time.Now()
	ended, err := c.breaker.Load().Allow()
	if err != nil {
		return nil, fmt.Errorf("breaker open after %d failures in a row, the last: %s", c.trip, c.cause())
	}
	return func(a room.Answer) { ended(c.sign(a, from, began)) }, nil
}

// sign is what an answer to a command from there, asked for at that time, says about how the app is.
func (c *circuit) sign(a room.Answer, from origin, began time.Time) error {
	switch {
	case a.Outcome.Answered():
		c.vain.Store(0)
		c.run.end()
		return nil
	case a.Hurried, a.Outcome == "": // it had no time, or nobody has listened
		return errNoSign
	case a.Outcome == room.Unavailable:
		c.vain.Add(1)
		return errNoSign
	}
	c.vain.Store(0)
	reason := a.Reason
	c.last.Store(&reason)
	if a.Outcome == room.TimedOut {
		c.run.timeout(began)
		return errFailure
	}
	// A probe that failed may have been one user's bad input too.
	if spread := c.run.failure(from, began); !spread && c.breaker.Load().State() == gobreaker.StateHalfOpen {
		return errNoSign
	}
	return errFailure
}

// patient reports whether an essential app without a worker is worth waiting for: not after
// it has been waited for in vain a few times in a row.
func (c *circuit) patient() bool { return c.vain.Load() < c.trip }

func (c *circuit) cause() string {
	if reason := c.last.Load(); reason != nil {
		return *reason
	}
	return ""
}

func (c *circuit) state() room.Breaker {
	switch c.breaker.Load().State() {
	case gobreaker.StateOpen:
		return room.BreakerOpen
	case gobreaker.StateHalfOpen:
		return room.BreakerHalfOpen
	}
	return room.BreakerClosed
}
