package hooks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// An app that has become slow shows after five minutes, however long it was fast before. The times
// of calls are forgotten after ten minutes.
func TestRecentTimes_AreThoseOfTheLastMinutes(t *testing.T) {
	t.Parallel()
	var times recentTimes
	at := time.Now()
	p50 := func() float64 {
		sum := hookstats.NewSum(room.Manifest{})
		sum.Add(hookstats.Report{Times: times.encode(at)})
		return sum.Figures().P50Ms
	}
	assert.Zero(t, p50())
	for range 1000 {
		times.add(time.Millisecond, at)
	}
	at = at.Add(4 * time.Minute)
	times.add(time.Second, at)
	assert.InEpsilon(t, 1, p50(), 0.02)
	at = at.Add(2 * time.Minute)
	times.add(time.Second, at)
	assert.InEpsilon(t, 1, p50(), 0.02, "the fast calls are less than ten minutes old")
	at = at.Add(5 * time.Minute)
	assert.InEpsilon(t, 1000, p50(), 0.02)
	at = at.Add(10 * time.Minute)
	assert.Zero(t, p50())
}
