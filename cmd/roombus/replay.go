package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/interrupt"
	"github.com/roombus/roombus/internal/replay"
	"github.com/roombus/roombus/internal/trace"
	"github.com/roombus/roombus/roomclient"
)

// maxReported bounds the bad rows and failures that are printed.
const maxReported = 20

// attemptTimeout is how long a replay waits for an answer before it sends the command again with
// the same id. It is short, because a killed service does not answer.
const attemptTimeout = 2 * time.Second

type replaying struct {
	conn        connection
	out         output
	concurrency int
	limit       int
}

func newReplay() *cobra.Command {
	r := &replaying{}
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Feed a trace of joins and leaves through the service",
		Long: `replay reads a trace, CSV with the header "time,action,room,user", plain or gzipped, from FILE, or
with - from standard input. It sends every row as a command and creates rooms as they appear. Times
are RFC 3339, such as 2026-01-02T15:04:05Z; it does not wait for them.

The rows of one room are sent in order, one after the other; --concurrency bounds the number of
rooms in progress. A bad row is reported with its line number and counted.`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return r.run(c, args[0]) },
	}
	r.conn.addFlags(c)
	r.conn.addTimeout(c, 30*time.Second)
	r.out.addFlags(c)
	c.Flags().IntVar(&r.concurrency, "concurrency", 16, "commands in progress at once")
	c.Flags().IntVar(&r.limit, "limit", 0, "maximum number of commands (0: no limit)")
	return c
}

func (r *replaying) run(c *cobra.Command, path string) error {
	if r.concurrency < 1 {
		return usage(c, "--concurrency must be at least 1, not %d", r.concurrency)
	}
	if r.conn.timeout <= 0 {
		return usage(c, "--timeout must be more than 0, not %s", r.conn.timeout)
	}
	if r.limit < 0 {
		return usage(c, "--limit must not be negative")
	}
	in, size, err := open(c, path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // the file was only read
	bar := progress(c.ErrOrStderr(), size)
	t, err := trace.NewReader(io.TeeReader(in, bar))
	if c.Context().Err() != nil {
		return c.Context().Err()
	}
	if err != nil {
		return &usageError{fmt.Sprintf("%s: %v", path, err)}
	}
	nc, err := r.conn.connect(c.Context())
	if err != nil {
		return err
	}
	defer nc.Close()

	reported := 0
	summary, err := replay.Run(c.Context(), replay.Config{
		Client:      roomclient.New(nc, roomclient.Config{AttemptTimeout: attemptTimeout}),
		Concurrency: r.concurrency,
		Limit:       r.limit,
		Timeout:     r.conn.timeout,
		Report: func(err error) {
			if reported++; reported <= maxReported {
				fmt.Fprintf(c.ErrOrStderr(), "%s: %v\n", path, err)
			}
		},
	}, t)
	_ = bar.Finish() // a progress bar may fail
	if reported > maxReported {
		fmt.Fprintf(c.ErrOrStderr(), "%s: and %d more\n", path, reported-maxReported)
	}
	if shown := r.out.object(c.OutOrStdout(), summary, func(w io.Writer) { showSummary(w, summary) }); shown != nil {
		return shown
	}
	if err == nil && summary.Failed > 0 {
		return fmt.Errorf("%d of %d commands failed", summary.Failed, summary.Commands)
	}
	return err
}

// open returns the trace and its size in bytes, -1 if the size is unknown.
func open(c *cobra.Command, path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(interrupt.Reader(c.Context(), c.InOrStdin())), -1, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, &usageError{fmt.Sprintf("cannot open the trace: %v", err)}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, &usageError{fmt.Sprintf("cannot open the trace: %v", err)}
	}
	return f, info.Size(), nil
}

// progress returns a progress bar on a terminal, and none elsewhere.
func progress(w io.Writer, size int64) *progressbar.ProgressBar {
	if !isTerminal(w) {
		return progressbar.DefaultBytesSilent(size)
	}
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("replaying"),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish())
}

func showSummary(w io.Writer, s *replay.Summary) {
	t := newTable(w, fmt.Sprintf("commands\t%d", s.Commands))
	for _, l := range []struct {
		key   string
		value int
	}{
		{"changed", s.Changed},
		{"unchanged", s.Unchanged},
		{"denied", s.Denied},
		{"failed", s.Failed},
		{"bad rows", s.BadRows},
		{"rooms created", s.RoomsCreated},
	} {
		fmt.Fprintf(t, "%s\t%d\n", l.key, l.value)
	}
	fmt.Fprintf(t, "commands/s\t%.0f\nseconds\t%.3f\n", s.PerSecond, s.Seconds)
	q := s.LatencyMs
	fmt.Fprintf(t, "latency ms\tp50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f\n", q.P50, q.P90, q.P99, q.P999, q.Max)
	_ = t.Flush()
}
