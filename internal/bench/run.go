package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
)

// Config says what is measured.
type Config struct {
	Commands    []Command
	Apps        []int // numbers of apps
	Concurrency []int // numbers of commands at once
	Rooms       []int // numbers of rooms that the commands are about
	// Duration is how long each side of a cell is measured, in as many slices as there are
	// Rounds.
	Duration time.Duration
	Rounds   int
	Services int // room services; the floor has one
	Replicas int // of streams

	// Settings is where the NATS is. It must have nothing of a room service's.
	Settings bus.Settings
	// Process is the command line that has this program play a part.
	Process func(Part) []string
	// Profile is a folder that every process writes its profiles to. Empty: none.
	Profile string
	// Report is told of every cell before it is measured, and how many there are in all.
	Report func(n, all int, cell Cell)
}

// Cell is one combination that is measured.
type Cell struct {
	Command     Command `json:"command"`
	Apps        int     `json:"apps"`
	Rooms       int     `json:"rooms"`
	Concurrency int     `json:"concurrency"`
}

func (c Cell) String() string {
	return fmt.Sprintf("%s, %d apps, %d rooms, %d at once", c.Command, c.Apps, c.Rooms, c.Concurrency)
}

// cells are all combinations, in an order in which workers only become more.
func (cfg Config) cells() (all []Cell) {
	for _, apps := range slices.Sorted(slices.Values(cfg.Apps)) {
		for _, command := range cfg.Commands {
			rooms := cfg.Rooms
			if command == Create {
				rooms = rooms[:1] // it makes its own
			}
			for _, rooms := range rooms {
				for _, concurrency := range cfg.Concurrency {
					all = append(all, Cell{Command: command, Apps: apps, Rooms: rooms, Concurrency: concurrency})
				}
			}
		}
	}
	return all
}

// Run measures every cell. It starts processes and ends them, and removes what it has made in
// NATS. With an error, also that of the context, come the results there are until then.
func Run(ctx context.Context, cfg Config) (results []*Result, err error) {
	nc, err := cfg.Settings.Connect(nats.Name("roombus bench"))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	st, err := setUp(ctx, cfg, nc)
	if st != nil {
		defer func() { err = errors.Join(err, st.takeDown()) }()
	}
	if err != nil {
		return nil, err
	}
	for _, rooms := range cfg.Rooms { // before there are apps that have to be asked
		if err := st.furnish(ctx, rooms); err != nil {
			return nil, err
		}
	}
	cells := cfg.cells()
	for n, cell := range cells {
		cfg.Report(n, len(cells), cell)
		if err := st.employ(ctx, cell.Apps); err != nil {
			return results, err
		}
		r, err := st.measure(ctx, cell)
		if err != nil {
			return results, fmt.Errorf("%s: %w", cell, err)
		}
		results = append(results, r)
	}
	return results, nil
}
