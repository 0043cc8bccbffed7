package gcpace

import (
	"context"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A small heap may grow to a multiple. The growth of a large heap is bounded by the usual
// percentage.
func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0:         1700,
		1 << 20:   1700,
		4 << 20:   1700,
		8 << 20:   900,
		32 << 20:  300,
		64 << 20:  200,
		65 << 20:  100,
		900 << 20: 100,
	} {
		assert.Equal(t, want, percentFor(live), live)
	}
}

func TestRun(t *testing.T) { // not parallel: the process has one collector
	percent := func() int {
		is := debug.SetGCPercent(usual)
		debug.SetGCPercent(is)
		return is
	}
	before := percent()
	for gogc, changes := range map[string]bool{"": true, "100": false} {
		t.Setenv("GOGC", gogc)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { Run(ctx); close(ended) }()
		if changes {
			require.Eventually(t, func() bool { return percent() > usual }, 10*time.Second, time.Millisecond)
		}
		cancel()
		<-ended
		assert.Equal(t, before, percent())
	}
}
