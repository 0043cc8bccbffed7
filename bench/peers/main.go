package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/roombus/roombus/internal/interrupt"
)

func main() {
	if isApp() {
		appMain(os.Args[1:])
	}
	err := run(interrupt.Context(), os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// plan says what to measure.
type plan struct {
	Apps        int           `json:"apps"`
	Concurrency []int         `json:"concurrency"`
	Duration    time.Duration `json:"durationNs"` // of one peer at one concurrency, over all rounds
	Rounds      int           `json:"rounds"`
}

// run measures as the arguments say and writes the report. After the report it returns an error if
// any gather has failed.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var p plan
	flags := pflag.NewFlagSet("peers", pflag.ContinueOnError)
	flags.IntSliceVar(&p.Concurrency, "concurrency", []int{1, 16, 64}, "gathers in progress at once")
	flags.IntVar(&p.Apps, "apps", 5, "apps that are asked")
	flags.DurationVar(&p.Duration, "duration", 3*time.Second, "how long each peer is measured at each concurrency")
	flags.IntVar(&p.Rounds, "rounds", 5, "turns that the duration is divided into")
	only := flags.StringSlice("only", nil, "names of the peers to measure (default all)")
	asJSON := flags.Bool("json", false, "report as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.Apps < 1 || p.Rounds < 1 || p.Duration <= 0 || len(p.Concurrency) == 0 || slices.Min(p.Concurrency) < 1 {
		return errors.New("concurrency, apps, rounds and duration must be more than 0")
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	started, stop, err := startAll(ctx, chosen, p.Apps)
	defer func() { stop() }()
	if err != nil {
		return err
	}
	results, err := p.measure(ctx, started)
	if err != nil {
		return err
	}
	r, err := newReport(ctx, p, results)
	if err != nil {
		return err
	}
	write := r.table
	if *asJSON {
		write = r.json
	}
	return errors.Join(write(out), failures(results))
}
