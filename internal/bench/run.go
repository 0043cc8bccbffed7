package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
)

// Config configures a benchmark.
type Config struct {
	Commands    []Command
	Apps        []int // numbers of apps
	Policies    []int // numbers of policies; their cells are measured in turns
	Concurrency []int // numbers of commands at once
	Rooms       []int // numbers of rooms that the commands use
	// Trace replaces Commands and Rooms, if set. It is replayed for each number of apps and each
	// concurrency. It needs at least Rounds rows.
	Trace *Trace
	// Duration is how long each side of a cell is measured, divided into Rounds slices.
	Duration time.Duration
	Rounds   int
	Services int  // room services; the floor has one
	Replicas int  // of streams
	Synced   bool // the NATS server syncs each commit

	// Settings is the connection to NATS. The account must not hold the streams of a room service.
	Settings bus.Settings
	// Process returns the command line that makes this program play a part.
	Process func(Part) []string
	// Profile is a folder that every process writes its profiles to. Empty: none.
	Profile string
	// Report is called before each step. It may be nil.
	Report func(Step)
}

// Step is the progress of a benchmark.
type Step struct {
	What string // the current measurement
	Done int    // completed slices
	All  int    // total number of slices
}

// Cell is one combination to measure.
type Cell struct {
	Command     Command `json:"command"`
	Apps        int     `json:"apps"`
	Policies    int     `json:"policies"`
	Rooms       int     `json:"rooms"` // 0: the commands make their own
	Concurrency int     `json:"concurrency"`
}

func (c Cell) String() string {
	parts := []string{string(c.Command), c.asked()}
	if c.Rooms > 0 {
		parts = append(parts, count(c.Rooms, "room"))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d at once", c.Concurrency)), ", ")
}

// asked returns the numbers of apps and policies.
func (c Cell) asked() string {
	apps := count(c.Apps, "app")
	if c.Policies == 0 {
		return apps
	}
	return apps + ", " + plural(c.Policies, "policy", "policies")
}

func count(n int, of string) string { return plural(n, of, of+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// cells returns all combinations, ordered so that the number of workers never falls. Those that differ only
// in their policies are together, the fewest policies first.
func (cfg Config) cells() (all [][]Cell) {
	for _, apps := range slices.Sorted(slices.Values(cfg.Apps)) {
		for _, command := range cfg.commands() {
			rooms := cfg.Rooms
			switch command {
			case Create:
				rooms = []int{0}
			case Replay:
				rooms = []int{cfg.Trace.rooms}
			}
			for _, rooms := range rooms {
				for _, concurrency := range cfg.Concurrency {
					var alike []Cell
					for _, policies := range slices.Sorted(slices.Values(cfg.Policies)) {
						alike = append(alike, Cell{command, apps, policies, rooms, concurrency})
					}
					all = append(all, alike)
				}
			}
		}
	}
	return all
}

func (cfg Config) commands() []Command {
	if cfg.Trace != nil {
		return []Command{Replay}
	}
	return cfg.Commands
}

// ErrLost is returned when the NATS server goes away. The streams of the benchmark then remain on
// it.
var ErrLost = errors.New("the connection to NATS was lost")

// Run measures every cell. It starts and ends the processes, and removes everything it created in
// NATS. If it fails or the context ends, it returns the results so far with the error.
func Run(ctx context.Context, cfg Config) (results []*Result, err error) {
	if cfg.Report == nil {
		cfg.Report = func(Step) {}
	}
	alive, giveUp := context.WithCancelCause(ctx)
	nc, err := cfg.Settings.Connect(ctx, nats.Name("roombus bench"), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { giveUp(ErrLost) }))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	defer giveUp(nil)
	st, err := setUp(alive, cfg, nc, giveUp)
	if st == nil {
		return nil, err
	}
	defer func() {
		if left := st.takeDown(); !errors.Is(err, left) {
			err = errors.Join(err, left)
		}
	}()
	if err == nil {
		results, err = st.run(alive, cfg.cells())
	}
	return results, why(alive, err)
}

// why returns the cause of an error. If the context ends within a second, the cause is the
// context's: requests to a process fail a moment before its end is reported.
func why(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	moment := time.NewTimer(time.Second)
	defer moment.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-moment.C:
		return err
	}
}

func (st *stage) run(ctx context.Context, cells [][]Cell) (results []*Result, err error) {
	st.steps.All = len(cells) * len(st.cfg.Policies) * (st.cfg.Rounds + 1) * 2
	for _, alike := range cells { // before there are essential apps, which would have to be asked
		first := alike[0]
		if first.Command == Create || first.Command == Replay {
			continue
		}
		st.report("making " + count(first.Rooms, "room"))
		if err := st.createRooms(ctx, first.Rooms); err != nil {
			return nil, err
		}
	}
	on := environment(ctx, st.nc)
	for _, alike := range cells {
		st.report(alike[0].String())
		if err := st.addWorkers(ctx, alike[0].Apps); err != nil {
			return results, err
		}
		measured, err := st.measure(ctx, alike)
		if err != nil {
			return results, err
		}
		for _, r := range measured {
			r.Environment = on
			results = append(results, r)
		}
	}
	return results, nil
}
