package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"

	"github.com/roombus/roombus/internal/latency"
)

// report is the outcome of a plan.
type report struct {
	Plan    plan      `json:"plan"`
	Machine string    `json:"machine"`
	Date    time.Time `json:"date"`
	Lines   []line    `json:"lines"`
}

// line is one peer at one concurrency.
type line struct {
	Concurrency int               `json:"concurrency"`
	Peer        string            `json:"peer"`
	Rate        float64           `json:"gathersPerSecond"`
	LatencyMs   latency.Quantiles `json:"latencyMs"`
	CPU         float64           `json:"cpuMicrosPerGather"` // of all processes
	Failed      int               `json:"failed"`
	// Ratio is the throughput of roombus divided by the throughput of this peer. It is nil for
	// roombus itself, and if roombus was not measured.
	Ratio *ratio `json:"ratio,omitempty"`
}

// ratio is computed over the rounds.
type ratio struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func newReport(ctx context.Context, p plan, results []*result) (*report, error) {
	r := &report{Plan: p, Date: time.Now().UTC().Truncate(time.Second)}
	cores, err := cpu.InfoWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the machine's properties: %w", err)
	}
	r.Machine = fmt.Sprintf("%s, %s/%s, GOMAXPROCS %d", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	if len(cores) > 0 {
		r.Machine += ", " + cores[0].ModelName
	}
	for _, of := range results {
		l := of.line()
		own := slices.IndexFunc(results, func(o *result) bool {
			return o.peer == roombus{}.Name() && o.concurrency == of.concurrency && o != of
		})
		if own >= 0 {
			l.Ratio = compare(results[own].rounds, of.rounds)
		}
		r.Lines = append(r.Lines, l)
	}
	return r, nil
}

// line sums up the rounds.
func (r *result) line() line {
	l := line{Concurrency: r.concurrency, Peer: r.peer, Failed: r.warmUp.failed}
	all := newRound()
	for _, one := range r.rounds {
		all.took += one.took
		all.cpu += one.cpu
		all.latencies.Merge(one.latencies)
		l.Failed += one.failed
	}
	l.Rate = all.rate()
	l.LatencyMs = all.latencies.Quantiles()
	if n := all.latencies.Count(); n > 0 {
		l.CPU = float64(all.cpu.Microseconds()) / float64(n)
	}
	return l
}

// compare divides the throughput of rounds that ran next to each other. It returns nil if a round
// gathered nothing.
func compare(own, others []*round) *ratio {
	var ratios []float64
	for n := range own {
		if others[n].rate() == 0 {
			return nil
		}
		ratios = append(ratios, own[n].rate()/others[n].rate())
	}
	slices.Sort(ratios)
	middle := len(ratios) / 2
	median := ratios[middle]
	if len(ratios)%2 == 0 {
		median = (ratios[middle-1] + ratios[middle]) / 2
	}
	return &ratio{Median: median, Min: ratios[0], Max: ratios[len(ratios)-1]}
}

// failures returns an error if any gather has failed. It names the first failure of each peer.
func failures(results []*result) error {
	var errs []error
	for _, r := range results {
		failed, first := 0, error(nil)
		for _, one := range append([]*round{r.warmUp}, r.rounds...) {
			failed += one.failed
			if first == nil {
				first = one.failure
			}
		}
		if failed > 0 {
			errs = append(errs, fmt.Errorf("at concurrency %d, %d gathers failed, the first with: %w", r.concurrency, failed, first))
		}
	}
	return errors.Join(errs...)
}

func (r *report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// table writes the report as Markdown.
func (r *report) table(out io.Writer) error {
	fmt.Fprintf(out, "%d apps, %d rounds of %s; %s; %s\n\n", r.Plan.Apps, r.Plan.Rounds,
		r.Plan.Duration/time.Duration(r.Plan.Rounds), r.Machine, r.Date.Format(time.DateOnly))
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', tabwriter.Debug)
	row := func(cells ...string) { fmt.Fprintf(w, "%s\t\n", strings.Join(cells, "\t ")) }
	row("| at once", "peer", "gathers/s", "p50 ms", "p90 ms", "p99 ms", "CPU µs each", "failed", "roombus / peer (min to max)")
	row("|---", "---", "---", "---", "---", "---", "---", "---", "---")
	for _, l := range r.Lines {
		times := ""
		if l.Ratio != nil {
			times = fmt.Sprintf("%.2f (%.2f to %.2f)", l.Ratio.Median, l.Ratio.Min, l.Ratio.Max)
		}
		row(fmt.Sprintf("| %d", l.Concurrency), l.Peer, fmt.Sprintf("%.0f", l.Rate), ms(l.LatencyMs.P50), ms(l.LatencyMs.P90), ms(l.LatencyMs.P99),
			fmt.Sprintf("%.0f", l.CPU), strconv.Itoa(l.Failed), times)
	}
	return w.Flush()
}

func ms(v float64) string { return fmt.Sprintf("%.2f", v) }
