package hookstats_test

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// The quantiles of a sum are those of all calls. Times that cannot be read leave the counts.
func TestSum_MergesTimes(t *testing.T) {
	t.Parallel()
	report := func(took time.Duration) hookstats.Report {
		times := hookstats.NewTimes()
		require.NoError(t, times.RecordValue(took.Microseconds()))
		encoded, err := times.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		require.NoError(t, err)
		return hookstats.Report{Figures: room.Figures{Calls: 1}, Times: encoded}
	}
	sum := hookstats.NewSum(room.Manifest{})
	assert.Equal(t, room.Figures{Breaker: room.BreakerClosed}, sum.Figures())
	sum.Add(report(10 * time.Millisecond))
	sum.Add(report(200 * time.Millisecond))
	sum.Add(hookstats.Report{Figures: room.Figures{Calls: 1, Breaker: room.BreakerOpen}, Times: []byte("damaged")})
	f := sum.Figures()
	assert.EqualValues(t, 3, f.Calls)
	assert.Equal(t, room.BreakerOpen, f.Breaker)
	assert.InEpsilon(t, 10, f.P50Ms, 0.01)
	assert.InEpsilon(t, 200, f.P99Ms, 0.01)
}
