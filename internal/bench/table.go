package bench

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// table is a table of results, for a terminal or a page.
type table struct {
	Title   string
	Columns []string
	Rows    [][]string
}

// legend explains the columns.
const legend = `The floor is a bare program that sends the same NATS messages without any logic. Both are measured
in turns. The ratio is roombus divided by the floor in neighbouring turns: the median, the least and
the most. Latencies are in milliseconds. CPU is in microseconds for each command: of the service's
process, and of all processes, including the NATS server, the workers and the clients. The cost of
policies is roombus divided by roombus with the fewest policies, in neighbouring turns.`

// tables returns two tables, speed and cost, and a third one if numbers of policies were compared.
func tables(results []*Result) []table {
	speed := table{Title: "Throughput and latency", Columns: []string{
		"roombus/s", "floor/s", "ratio", "least-most", "p50", "p90", "p99", "p99.9", "floor p50", "p50 ratio", "failed",
	}}
	cost := table{Title: "Cost of a command", Columns: []string{
		"service CPU", "floor", "ratio", "all CPU", "floor", "ratio", "allocations", "floor", "ratio", "KiB", "floor", "conflicts",
	}}
	for _, r := range results {
		speed.Rows = append(speed.Rows, append(r.names(), r.speed()...))
		cost.Rows = append(cost.Rows, append(r.names(), r.cost()...))
	}
	all := []table{speed, cost}
	if policies := policyTable(results); len(policies.Rows) > 0 {
		all = append(all, policies)
	}
	for n := range all {
		all[n].Columns = append([]string{"command", "apps", "policies", "rooms", "at once"}, all[n].Columns...)
	}
	return all
}

// policyTable compares the room service with itself with fewer policies.
func policyTable(results []*Result) table {
	t := table{Title: "Cost of policies", Columns: []string{
		"beside", "roombus/s", "ratio", "least-most", "all CPU", "ratio", "least-most",
	}}
	for _, r := range results {
		if c := r.Comparison; c != nil {
			row := append(r.names(), strconv.Itoa(c.Policies), fixed(r.Roombus.PerSecond, 0))
			row = append(row, c.Throughput.fields()...)
			row = append(row, fixed(r.Roombus.TotalCPU, 0))
			t.Rows = append(t.Rows, append(row, c.TotalCPU.fields()...))
		}
	}
	return t
}

func (s Spread) fields() []string {
	return []string{fixed(s.Median, 2), fixed(s.Least, 2) + "-" + fixed(s.Most, 2)}
}

func (c Cell) names() []string {
	rooms := "new"
	if c.Rooms > 0 {
		rooms = strconv.Itoa(c.Rooms)
	}
	return []string{string(c.Command), strconv.Itoa(c.Apps), strconv.Itoa(c.Policies), rooms, strconv.Itoa(c.Concurrency)}
}

func (r *Result) speed() []string {
	q := r.Roombus.LatencyMs
	return []string{
		fixed(r.Roombus.PerSecond, 0), fixed(r.Floor.PerSecond, 0), fixed(r.Ratio.Throughput, 2),
		fixed(r.Ratio.Least, 2) + "-" + fixed(r.Ratio.Most, 2),
		fixed(q.P50, 2), fixed(q.P90, 2), fixed(q.P99, 2), fixed(q.P999, 2),
		fixed(r.Floor.LatencyMs.P50, 2), fixed(r.Ratio.P50, 2), strconv.Itoa(r.Roombus.Failed + r.Floor.Failed),
	}
}

func (r *Result) cost() []string {
	var all []string
	for _, of := range [][2]float64{
		{r.Roombus.ServiceCPU, r.Floor.ServiceCPU},
		{r.Roombus.TotalCPU, r.Floor.TotalCPU},
		{r.Roombus.Allocs, r.Floor.Allocs},
	} {
		all = append(all, fixed(of[0], 0), fixed(of[1], 0), fixed(ratio(of[0], of[1]), 2))
	}
	const kib = 1024
	return append(all, fixed(r.Roombus.Bytes/kib, 1), fixed(r.Floor.Bytes/kib, 1), fixed(r.Conflicts, 3))
}

func fixed(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

// WriteTables writes the results and the environment as text.
func WriteTables(w io.Writer, results []*Result) error {
	if len(results) == 0 {
		return nil
	}
	fmt.Fprintf(w, "%s\n\n%s\n", results[0].Environment, legend)
	for _, t := range tables(results) {
		fmt.Fprintf(w, "\n%s\n", t.Title)
		if err := t.write(w); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	if failures := failures(results); len(failures) > 0 {
		fmt.Fprintln(w)
		for _, f := range failures {
			fmt.Fprintln(w, f)
		}
	}
	return nil
}

func (t table) write(w io.Writer) error {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		for _, field := range row {
			fmt.Fprint(aligned, field, "\t")
		}
		fmt.Fprintln(aligned)
	}
	return aligned.Flush()
}

// failures describes, for each side of a cell, the number of failed commands and the first failure.
func failures(results []*Result) (all []string) {
	for _, r := range results {
		for _, of := range []struct {
			side
			Figures
		}{{roombus, r.Roombus}, {floorSide, r.Floor}} {
			if of.Failed > 0 {
				all = append(all, fmt.Sprintf("%s: %d of %d commands failed on %s; the first: %s",
					r.Cell, of.Failed, of.Failed+of.Commands, of.side, of.Failure))
			}
		}
	}
	return all
}

// Failed returns the number of failed commands and of all commands, on both sides.
func Failed(results []*Result) (failed, all int) {
	for _, r := range results {
		failed += r.Roombus.Failed + r.Floor.Failed
		all += r.Roombus.Failed + r.Floor.Failed + r.Roombus.Commands + r.Floor.Commands
	}
	return failed, all
}
