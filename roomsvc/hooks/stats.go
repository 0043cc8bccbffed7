package hooks

import (
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// hookStats counts the outcomes of asking one app for one interface, since the service started.
type hookStats struct {
	mu     sync.Mutex
	counts room.Figures
	times  *hdrhistogram.Histogram // in microseconds; nil before the first
	open   failOpen
}

// newTimes returns a histogram of microseconds up to the longest timeout, with two significant
// digits.
func newTimes() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (room.MaxTimeoutMs * time.Millisecond).Microseconds(), 2)
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
	if f.times == nil {
		f.times = newTimes()
	}
	_ = f.times.RecordValue(min(max(1, r.Took.Microseconds()), f.times.HighestTrackableValue())) // fails only for a value out of range
}

// count adds the outcome of an answer.
func (f *hookStats) count(a rules.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// Report is the stats of one app and interface at one service. It carries the histogram, since
// quantiles cannot be added.
type Report struct {
	App       string         `json:"app"`
	Interface room.Interface `json:"interface"`
	room.Figures
	Times []byte `json:"times,omitempty"` // in HdrHistogram's own encoding
}

func (k *hook) report() Report {
	k.stats.mu.Lock()
	defer k.stats.mu.Unlock()
	r := Report{App: k.manifest.ID, Interface: k.iface, Figures: k.stats.counts}
	r.Breaker = k.breaker.state()
	if k.stats.times != nil {
		r.Times, _ = k.stats.times.Encode(hdrhistogram.V2CompressedEncodingCookieBase) // an encoder to memory does not fail
	}
	return r
}

// Sum is the sum of the reports of several services and interfaces.
type Sum struct {
	figures room.Figures
	times   *hdrhistogram.Histogram
}

// NewSum returns the sum of no reports.
func NewSum() *Sum {
	return &Sum{figures: room.Figures{Breaker: room.BreakerClosed}, times: newTimes()}
}

// Add adds a report. It adds no times if they cannot be read.
func (s *Sum) Add(r Report) {
	s.figures.Add(r.Figures)
	if times, err := hdrhistogram.Decode(r.Times); err == nil {
		s.times.Merge(times)
	}
}

// Figures returns the sum, with the quantiles of all times.
func (s *Sum) Figures() room.Figures {
	milliseconds := func(quantile float64) float64 {
		if s.times.TotalCount() == 0 {
			return 0
		}
		return float64(s.times.ValueAtQuantile(quantile)) / 1000
	}
	s.figures.P50Ms, s.figures.P99Ms = milliseconds(50), milliseconds(99)
	return s.figures
}
