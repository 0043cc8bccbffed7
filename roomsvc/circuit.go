package roomsvc

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/sony/gobreaker/v2"

	"github.com/roombus/roombus/room"
)

// circuit keeps an app that keeps failing for one interface from being asked, but for a probe
// now and then. An app without a worker needs no breaker, as that is known at once; what it
// has is patience, which ends.
type circuit struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	trip    uint32 // how many failures in a row are too many
	run     run
	vain    atomic.Uint32
	last    atomic.Pointer[string] // the latest failure
	tardy   atomic.Bool            // it did not come within the grace, the last time it counted
}

var (
	errFailure = errors.New("failure")
	// errNoSign is what an answer is for the breaker that says nothing about how the app is.
	errNoSign = errors.New("no sign")
)

func newCircuit(app string, i room.Interface, cfg Config) *circuit {
	c := &circuit{trip: uint32(cfg.BreakerFailures)}
	c.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        app,
		MaxRequests: 1,
		Timeout:     cfg.BreakerPause,
		ReadyToTrip: func(gobreaker.Counts) bool { return c.run.weight() >= c.trip },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoSign) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			c.run.end()
			c.report(cfg.Logger, app, i, from, to)
		},
	})
	return c
}

// report logs that the app is not asked any more, and that it is again, not each probe.
func (c *circuit) report(log *slog.Logger, app string, i room.Interface, from, to gobreaker.State) {
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		log.Warn("breaker open: the app is not asked but for probes", "app", app, "interface", i, "failures", c.trip, "last", c.cause())
	case to == gobreaker.StateClosed:
		log.Info("breaker closed: the app answers again", "app", app, "interface", i)
	}
}

// allow returns what to call once it is known how asking the app ended, or an error that says
// why it is not to be asked.
func (c *circuit) allow(from origin) (done func(room.Answer), err error) {
	ended, err := c.breaker.Allow()
	if err != nil {
		return nil, fmt.Errorf("breaker open after %d failures in a row, the last: %s", c.trip, c.cause())
	}
	return func(a room.Answer) { ended(c.sign(a, from)) }, nil
}

// sign is what an answer to a command from there says about how the app is.
func (c *circuit) sign(a room.Answer, from origin) error {
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
		c.run.timeout()
		return errFailure
	}
	// A probe that failed may have been one user's bad input too.
	if spread := c.run.failure(from); !spread && c.breaker.State() == gobreaker.StateHalfOpen {
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
	switch c.breaker.State() {
	case gobreaker.StateOpen:
		return room.BreakerOpen
	case gobreaker.StateHalfOpen:
		return room.BreakerHalfOpen
	}
	return room.BreakerClosed
}
