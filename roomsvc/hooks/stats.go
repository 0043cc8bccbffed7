package hooks

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// hookStats counts the outcomes of asking one app for one interface, since the service started. The times
// are those of the last minutes.
type hookStats struct {
	mu     sync.Mutex
	counts room.Figures
	times  recentTimes
	open   failOpen
}

func (f *hookStats) called() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Calls++
}

func (f *hookStats) late() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts.Late++
}

// took adds the time of a call that reached a worker, also if it timed out.
func (f *hookStats) took(r bus.Reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Retried {
		f.counts.Retried++
	}
	if r.Err != nil && !errors.Is(r.Err, bus.ErrTimeout) {
		return
	}
	f.times.add(r.Took, time.Now())
}

// count adds an answer about a command to the stats, at that time: its outcome and, of a policy, its
// evaluation.
func (k *hook) count(a *rules.Answer, command string, at time.Time, log *slog.Logger) {
	k.stats.mu.Lock()
	defer k.stats.mu.Unlock()
	k.stats.count(a, command, at)
	if !k.manifest.IsPolicy() {
		return
	}
	if a.Took > 0 {
		k.stats.counts.Calls++
		k.stats.times.add(a.Took, at)
	}
	if a.Outcome.Answered() {
		k.failOpenEnded(log)
	}
}

// answered adds the verdict of a worker, if it is one.
func (k *hook) answered(a *rules.Answer, log *slog.Logger) {
	if !a.Outcome.Answered() {
		return
	}
	k.stats.mu.Lock()
	defer k.stats.mu.Unlock()
	k.failOpenEnded(log)
}

// count adds the outcome of an answer. A call that had too little time is no failure of the app.
func (f *hookStats) count(a *rules.Answer, command string, at time.Time) {
	if (a.Outcome == room.Failed || a.Outcome == room.TimedOut) && !a.Hurried {
		f.counts.LastFailure = &room.Failure{Time: at.UTC(), Command: command, Outcome: a.Outcome, Reason: a.Reason}
	}
	switch a.Outcome {
	case room.Allowed:
		f.counts.Allowed++
	case room.Denied:
		f.counts.Denied++
		if a.Shadow {
			f.counts.WouldHaveDenied++
		}
	case room.Skipped:
		f.counts.Skipped++
	case room.Failed:
		f.counts.Failed++
	case room.TimedOut:
		f.counts.TimedOut++
	case room.Unavailable:
		f.counts.Unavailable++
	}
}

func (k *hook) report() hookstats.Report {
	k.stats.mu.Lock()
	defer k.stats.mu.Unlock()
	r := hookstats.Report{App: k.manifest.ID, Interface: k.iface, Figures: k.stats.counts}
	r.Times = k.stats.times.encode(time.Now())
	if !k.manifest.IsPolicy() {
		r.Breaker = k.breaker.state()
	}
	return r
}
