package fault

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

// Harm is one kind of fault.
type Harm struct {
	Name string
	// Do does the harm and undoes it, also when the context ends meanwhile. It reports
	// whether there was anything to harm.
	Do func(ctx context.Context, r *rand.Rand) bool
}

// Nemesis does harm at random, and counts.
type Nemesis struct {
	seed   uint64
	raging sync.WaitGroup

	mu     sync.Mutex
	sides  uint64
	counts map[string]int
}

// NewNemesis draws what it does from the seed.
func NewNemesis(seed uint64) *Nemesis { return &Nemesis{seed: seed, counts: make(map[string]int)} }

// Rage does one of the harms after the other, with pauses of up to that long between them, until
// the context ends. Several may rage at once: harms of different calls overlap.
func (n *Nemesis) Rage(ctx context.Context, pause time.Duration, harms ...Harm) {
	n.mu.Lock()
	n.sides++
	r := rand.New(rand.NewPCG(n.seed, n.sides))
	n.mu.Unlock()
	n.raging.Go(func() {
		for Pause(ctx, time.Duration(r.Int64N(int64(pause)))) {
			h := harms[r.IntN(len(harms))]
			if h.Do(ctx, r) {
				n.mu.Lock()
				n.counts[h.Name]++
				n.mu.Unlock()
			}
		}
	})
}

// Wait returns when all harm is undone, after the contexts have ended.
func (n *Nemesis) Wait() { n.raging.Wait() }

// String says what was done how often.
func (n *Nemesis) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(n.counts)) {
		all = append(all, fmt.Sprintf("%s: %d", name, n.counts[name]))
	}
	return strings.Join(all, ", ")
}

// Pause waits, and reports whether the context still runs.
func Pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
