package hooks

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// timesPeriod is how long times are added to one histogram. Reports have the times of this period
// and of the one before. The times since the start would not show that an app has become slow.
const timesPeriod = 5 * time.Minute

// recentTimes are the times of the calls of the last five to ten minutes, in microseconds. A
// histogram is nil if it has no times.
type recentTimes struct {
	began             time.Time // when the current period began
	current, previous *hdrhistogram.Histogram
}

func (r *recentTimes) add(took time.Duration, at time.Time) {
	r.advance(at)
	if r.current == nil {
		r.current = hookstats.NewTimes()
	}
	_ = r.current.RecordValue(min(max(1, took.Microseconds()), r.current.HighestTrackableValue())) // fails only for a value out of range
}

// encode returns the times in the encoding of the library, nil if there are none.
func (r *recentTimes) encode(at time.Time) []byte {
	r.advance(at)
	if r.current == nil && r.previous == nil {
		return nil
	}
	all := hookstats.NewTimes()
	for _, h := range []*hdrhistogram.Histogram{r.previous, r.current} {
		if h != nil {
			all.Merge(h)
		}
	}
	encoded, _ := all.Encode(hdrhistogram.V2CompressedEncodingCookieBase) // an encoder to memory does not fail
	return encoded
}

// advance begins the period of that time, if it has not begun.
func (r *recentTimes) advance(at time.Time) {
	passed := at.Sub(r.began)
	if passed < timesPeriod {
		return
	}
	r.previous = r.current
	if passed >= 2*timesPeriod {
		r.previous = nil
	}
	r.current, r.began = nil, at
}
