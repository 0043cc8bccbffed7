package bus_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/bus"
)

func TestOutage_LongOneIsLoggedAtGrowingIntervals(t *testing.T) {
	t.Parallel()
	var o bus.Outage
	begin := time.Now()
	assert.False(t, o.Lasts())
	var logged []time.Duration
	for after := time.Duration(0); after <= 15*time.Minute; after += time.Second / 4 {
		if o.Failed(begin.Add(after)) {
			logged = append(logged, after)
		}
	}
	assert.Equal(t, []time.Duration{
		0, time.Minute, 3 * time.Minute, 7 * time.Minute, 12 * time.Minute,
	}, logged)
	assert.True(t, o.Lasts())
	lasted, log := o.Ended(begin.Add(time.Hour))
	assert.True(t, log)
	assert.Equal(t, time.Hour, lasted)
	_, log = o.Ended(begin.Add(time.Hour))
	assert.False(t, log, "it has ended already")
	assert.True(t, o.Failed(begin.Add(2*time.Hour)), "the next outage is logged when it begins")
}

func TestOutage_FlappingIsLoggedFourTimesAMinute(t *testing.T) {
	t.Parallel()
	var o bus.Outage
	begins, ends := 0, 0
	for n := range 240 {
		at := time.Unix(0, 0).Add(time.Duration(n) * time.Second / 4)
		if o.Failed(at) {
			begins++
		}
		if _, log := o.Ended(at); log {
			ends++
		}
	}
	assert.Equal(t, 4, begins)
	assert.Equal(t, 4, ends)
}
