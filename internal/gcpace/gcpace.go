// Package gcpace keeps Go's garbage collector from running all the time in a program with a small
// live heap and many allocations, such as a room service with few rooms.
package gcpace

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// allowance is how much a program may allocate between two collections in addition to its live
	// heap.
	allowance = 64 << 20
	usual     = 100 // percent, Go's default
	interval  = time.Second
)

// Run sets the collector's percentage by the size of the live heap until the context ends, and then
// resets it. It does nothing if GOGC is set, because the user has then chosen a percentage.
// GOMEMLIMIT bounds the heap as usual.
func Run(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := usual
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		metrics.Read(live)
		if percent := percentFor(live[0].Value.Uint64()); percent != set { // setting it stops the world for a moment
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			debug.SetGCPercent(usual)
			return
		}
	}
}

// percentFor returns the percentage for a live heap of so many bytes: a multiple of the usual
// percentage.
func percentFor(live uint64) int {
	const least = 4 << 20 // below this size the percentage no longer rises
	return usual * int(1+allowance/max(live, least))
}
