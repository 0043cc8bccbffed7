package roomsvc

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

// statsSnapshot is a copy of hookStats that can be merged with those of other replicas and
// interfaces. It carries the histogram, since quantiles cannot be added.
type statsSnapshot struct {
	room.Figures
	Times []byte `json:"times,omitempty"` // in HdrHistogram's own encoding
}

func (f *hookStats) snapshot() statsSnapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := statsSnapshot{Figures: f.counts}
	if f.times != nil {
		t.Times, _ = f.times.Encode(hdrhistogram.V2CompressedEncodingCookieBase) // an encoder to memory does not fail
	}
	return t
}

// mergedStats is the sum of statsSnapshots.
type mergedStats struct {
	figures room.Figures
	times   *hdrhistogram.Histogram
}

func newMergedStats() *mergedStats {
	return &mergedStats{figures: room.Figures{Breaker: room.BreakerClosed}, times: newTimes()}
}

func (s *mergedStats) add(t statsSnapshot) {
	s.figures.Add(t.Figures)
	if times, err := hdrhistogram.Decode(t.Times); err == nil {
		s.times.Merge(times)
	}
}

func (s *mergedStats) total() room.Figures {
	milliseconds := func(quantile float64) float64 {
		if s.times.TotalCount() == 0 {
			return 0
		}
		return float64(s.times.ValueAtQuantile(quantile)) / 1000
	}
	s.figures.P50Ms, s.figures.P99Ms = milliseconds(50), milliseconds(99)
	return s.figures
}
