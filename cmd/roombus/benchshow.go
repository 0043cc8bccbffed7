package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/bench"
)

// show prints the results and writes the page. Charts come before the tables, so that the tables
// stay on the screen.
func (b *benching) show(c *cobra.Command, results []*bench.Result, page *page) error {
	if err := page.write(results); err != nil {
		return err
	}
	w := c.OutOrStdout()
	if b.out.json {
		for _, r := range results {
			if err := writeJSON(w, r); err != nil {
				return err
			}
		}
		return nil
	}
	if b.chart || isTerminal(w) && !c.Flags().Changed("chart") {
		for _, r := range results {
			bench.WriteChart(w, r, paintFor(w).on)
		}
	}
	return bench.WriteTables(w, results)
}

// steps shows the progress of a benchmark: a bar on a terminal, otherwise a line for each
// measurement. With quiet it shows nothing.
type steps struct {
	w     io.Writer
	quiet bool
	last  string
	bar   *progressbar.ProgressBar
}

func newSteps(w io.Writer, quiet bool) *steps { return &steps{w: w, quiet: quiet} }

func (s *steps) show(at bench.Step) {
	if s.bar == nil && isTerminal(s.w) {
		s.bar = progressbar.NewOptions(at.All,
			progressbar.OptionSetWriter(s.w),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish())
	}
	switch {
	case s.bar != nil:
		s.bar.Describe(at.What)
		_ = s.bar.Set(at.Done) // a progress bar may fail
	case !s.quiet && at.What != s.last:
		fmt.Fprintf(s.w, "%3d%% %s\n", 100*at.Done/at.All, at.What)
	}
	s.last = at.What
}

func (s *steps) finish() {
	if s.bar != nil {
		_ = s.bar.Finish() // as above
	}
}

// page is the file for the page with plots. It is opened before the benchmark starts, so that a
// wrong path is reported at once.
type page struct{ file *os.File }

func openPage(path string) (*page, error) {
	if path == "" {
		return &page{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644) //nolint:gosec // a report, meant to be read by others
	if err != nil {
		return nil, &usageError{fmt.Sprintf("cannot write the page: %v", err)}
	}
	return &page{file: f}, nil
}

// write replaces the content of the file, if there are results.
func (p *page) write(results []*bench.Result) error {
	if p.file == nil || len(results) == 0 {
		return nil
	}
	if err := p.file.Truncate(0); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return bench.WriteHTML(p.file, results)
}

// close removes the file if it is empty.
func (p *page) close() {
	if p.file == nil {
		return
	}
	info, err := p.file.Stat()
	_ = p.file.Close()
	if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		_ = os.Remove(p.file.Name())
	}
}
