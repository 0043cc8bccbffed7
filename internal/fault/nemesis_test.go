package fault_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// fault is one kind of fault.
type fault struct {
	Name string
	// Do injects the fault and repairs it, also when the context ends meanwhile. It reports whether
	// there was anything to break.
	Do func(ctx context.Context, r *rand.Rand) bool
}

// nemesis injects random faults and counts them.
type nemesis struct {
	seed   uint64
	active sync.WaitGroup

	mu     sync.Mutex
	sides  uint64
	counts map[string]int
}

// newNemesis returns a nemesis whose choices derive from the seed.
func newNemesis(seed uint64) *nemesis { return &nemesis{seed: seed, counts: make(map[string]int)} }

// Run injects the faults in random order, one after the other, with pauses of up to longest between
// them, until the context ends. Several calls may run at once: their faults overlap.
func (n *nemesis) Run(ctx context.Context, longest time.Duration, faults ...fault) {
	n.mu.Lock()
	n.sides++
	r := rand.New(rand.NewPCG(n.seed, n.sides))
	n.mu.Unlock()
	n.active.Go(func() {
		for pause(ctx, time.Duration(r.Int64N(int64(longest)))) {
			h := faults[r.IntN(len(faults))]
			if h.Do(ctx, r) {
				n.mu.Lock()
				n.counts[h.Name]++
				n.mu.Unlock()
			}
		}
	})
}

// Wait returns when all faults are repaired, after the contexts have ended.
func (n *nemesis) Wait() { n.active.Wait() }

// String lists the faults with their counts.
func (n *nemesis) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(n.counts)) {
		all = append(all, fmt.Sprintf("%s: %d", name, n.counts[name]))
	}
	return strings.Join(all, ", ")
}

// pause waits, and reports whether the context is still active.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
