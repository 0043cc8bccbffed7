// Package hookstats has the stats of hooks, for the replica that counts them and the replica that
// sums them.
package hookstats

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/roombus/roombus/room"
)

// NewTimes returns a histogram of microseconds up to the longest timeout, with two significant
// digits.
func NewTimes() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (room.MaxTimeoutMs * time.Millisecond).Microseconds(), 2)
}

// Report is the stats of one app and interface at one service. It carries the histogram, since
// quantiles cannot be added.
type Report struct {
	App       string         `json:"app"`
	Interface room.Interface `json:"interface"`
	room.Figures
	Times []byte `json:"times,omitempty"` // in HdrHistogram's own encoding
}

// Sum is the sum of the reports of several services and interfaces.
type Sum struct {
	figures room.Figures
	times   *hdrhistogram.Histogram
}

// NewSum returns the sum of no reports of an app: without a breaker for a policy.
func NewSum(of room.Manifest) *Sum {
	s := &Sum{times: NewTimes()}
	if !of.IsPolicy() {
		s.figures.Breaker = room.BreakerClosed
	}
	return s
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
