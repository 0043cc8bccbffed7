package hooks

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// hookStats counts the outcomes of asking one app for one interface, since the service started.
type hookStats struct {
	mu     sync.Mutex
	counts room.Figures
	times  *hdrhistogram.Histogram // in microseconds; nil before the first
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
	f.record(r.Took)
}

func (f *hookStats) record(took time.Duration) {
	if f.times == nil {
		f.times = hookstats.NewTimes()
	}
	_ = f.times.RecordValue(min(max(1, took.Microseconds()), f.times.HighestTrackableValue())) // fails only for a value out of range
}

// count adds an answer to the stats: its outcome and, of a policy, its evaluation.
func (k *hook) count(a *rules.Answer, log *slog.Logger) {
	k.stats.mu.Lock()
	defer k.stats.mu.Unlock()
	k.stats.count(a)
	if !k.manifest.IsPolicy() {
		return
	}
	if a.Took > 0 {
		k.stats.counts.Calls++
		k.stats.record(a.Took)
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

func (f *hookStats) count(a *rules.Answer) {
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
	if !k.manifest.IsPolicy() {
		r.Breaker = k.breaker.state()
	}
	if k.stats.times != nil {
		r.Times, _ = k.stats.times.Encode(hdrhistogram.V2CompressedEncodingCookieBase) // an encoder to memory does not fail
	}
	return r
}
