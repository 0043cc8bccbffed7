package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/bench"
	"github.com/roombus/roombus/internal/trace"
)

type benching struct {
	conn     connection
	out      output
	cfg      bench.Config
	commands []string
	trace    string
	limit    int
	chart    bool
	html     string
	storeDir string
	sync     string
}

func newBench() *cobra.Command {
	b := &benching{}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Compare the room service with a bare NATS program that does the same work",
		Long: `bench starts a NATS server, a room service, apps, and a floor: a bare program that does the same
work on NATS without any logic, with messages of the same size. It measures both in turns, for
every combination of --commands, --apps, --policies, --rooms and --concurrency, and prints how close
the room service comes to the floor. With the defaults it takes two minutes.

A policy is an app with rules, which the room service evaluates. Policies 1 to 5 are a ban list of
100,000 ids, a capacity, a rule for names, one for roles, and quiet hours; later ones repeat them.
Several numbers of policies are measured in turns, and compared with the least of them.

Each service and app is a separate process. With --nats or --context, or with NATS_URL or
NATS_CONTEXT in the environment, bench uses that NATS server. The account must not hold the streams
of a room service. bench removes the streams that it creates.

With --trace the commands are the joins and leaves of a trace in the format of "roombus replay".
The rows of one room are sent in order, one after the other, so the number of rooms also bounds the
number of commands in progress.`,
		Example: `  roombus bench
  roombus bench --commands join --apps 0,1,5,20 --concurrency 1,16,64,256 --html bench.html
  roombus bench --commands join --rooms 1,1000,100000 --duration 10s --json
  roombus bench --commands join --apps 0 --policies 0,5 --concurrency 16,64 --duration 10s --rounds 10
  roombus bench --trace trace.csv.gz --limit 20000 --apps 3 --concurrency 64
  roombus bench --nats nats://nats.example.org --stream-replicas 3`,
		Args: none("give the NATS server with --nats"),
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c) },
	}
	b.conn.addFlags(c)
	b.out.addFlags(c)
	f := c.Flags()
	f.StringSliceVar(&b.commands, "commands", []string{string(bench.Join), string(bench.Create), string(bench.Leave)}, "commands to measure: join, leave and create, which asks the apps in all three phases")
	f.IntSliceVar(&b.cfg.Apps, "apps", []int{0, 3}, "numbers of apps to ask")
	f.IntSliceVar(&b.cfg.Policies, "policies", []int{0}, "numbers of policies, 0 to 20")
	f.IntSliceVar(&b.cfg.Concurrency, "concurrency", []int{1, 64}, "numbers of commands in progress at once")
	f.IntSliceVar(&b.cfg.Rooms, "rooms", []int{1000}, "numbers of rooms to join and leave")
	f.DurationVar(&b.cfg.Duration, "duration", 3*time.Second, "how long to measure each side for each combination")
	f.IntVar(&b.cfg.Rounds, "rounds", 5, "number of turns that --duration is divided into")
	f.StringVar(&b.trace, "trace", "", "file with a trace to replay instead, plain or gzipped")
	f.IntVar(&b.limit, "limit", 0, "with --trace: maximum number of rows (0: no limit)")
	f.BoolVar(&b.chart, "chart", false, "draw the distribution of the latencies, also if the output is not a terminal")
	f.StringVar(&b.html, "html", "", "file to write a page with plots to")
	f.IntVar(&b.cfg.Services, "services", 1, "room services that share the commands")
	f.IntVar(&b.cfg.Replicas, streamReplicas, 1, "copies of the streams, on a NATS cluster: 1, 3 or 5")
	f.StringVar(&b.storeDir, "store-dir", os.TempDir(), "parent of the temporary folder of the embedded NATS server")
	f.StringVar(&b.sync, "sync", "interval", "when the embedded NATS server syncs to disk: always or interval")
	f.StringVar(&b.cfg.Profile, "profile", "", "folder for CPU, allocation, mutex and block profiles of every process")
	c.AddCommand(newBenchPart())
	return c
}

// newBenchPart makes the hidden command that the processes of a benchmark run.
func newBenchPart() *cobra.Command {
	var p bench.Part
	c := &cobra.Command{
		Use: "part", Hidden: true, Args: exactly(),
		Short: "Play a part in a benchmark that another process has begun",
		RunE: func(c *cobra.Command, _ []string) error {
			signal.Ignore(os.Interrupt) // a terminal interrupts the whole group; the parent process ends its children
			return bench.Play(c.Context(), p, bus.SettingsFromEnv(), c.InOrStdin(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar((*string)(&p.Role), "role", "", "which")
	f.StringVar(&p.Name, "name", "", "of the process")
	f.IntVar(&p.Replicas, streamReplicas, 1, "copies of the streams")
	f.BoolVar(&p.Synced, "synced", false, "the NATS server syncs each commit")
	f.StringVar(&p.Profile, "profile", "", "folder for profiles")
	return c
}

// partArgs returns the command line of a part.
func partArgs(program string) func(bench.Part) []string {
	return func(p bench.Part) []string {
		return []string{
			program, "bench", "part", "--role", string(p.Role), "--name", p.Name,
			"--stream-replicas", strconv.Itoa(p.Replicas), "--synced=" + strconv.FormatBool(p.Synced), "--profile", p.Profile,
		}
	}
}

func (b *benching) run(c *cobra.Command) error {
	if err := b.check(c); err != nil {
		return err
	}
	if err := b.readTrace(c); err != nil {
		return err
	}
	page, err := openPage(b.html)
	if err != nil {
		return err
	}
	defer page.close()
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	b.cfg.Process = partArgs(program)
	stop, err := b.nats(c.Context())
	if err != nil {
		return err
	}
	defer stop()
	steps := newSteps(c.ErrOrStderr(), b.out.json)
	b.cfg.Report = steps.show
	results, err := bench.Run(c.Context(), b.cfg)
	steps.finish()
	if shown := b.show(c, results, page); shown != nil {
		return shown
	}
	if failed, all := bench.Failed(results); err == nil && failed > 0 {
		return fmt.Errorf("%d of %d commands failed", failed, all)
	}
	return err
}

func (b *benching) check(c *cobra.Command) error {
	if b.trace != "" {
		for _, name := range []string{"commands", "rooms", "duration"} {
			if c.Flags().Changed(name) {
				return usage(c, "--%s does not go with --trace, which sets it", name)
			}
		}
	} else if c.Flags().Changed("limit") {
		return usage(c, "--limit goes with --trace")
	}
	if b.limit < 0 {
		return usage(c, "--limit must not be negative")
	}
	if b.chart && b.out.json {
		return usage(c, "--chart does not go with --json")
	}
	if mistakes := b.conn.serverMistakes(c, b.cfg.Replicas, b.sync); len(mistakes) > 0 {
		return usage(c, "%s", strings.Join(mistakes, "; "))
	}
	b.cfg.Synced = b.sync == "always"
	b.cfg.Commands = nil
	for _, name := range b.commands {
		command := bench.Command(name)
		if !slices.Contains(bench.Commands(), command) {
			return usage(c, "--commands must be join, leave or create, not %q", name)
		}
		b.cfg.Commands = append(b.cfg.Commands, command)
	}
	for _, f := range []struct {
		name   string
		values []int
		least  int
	}{
		{"apps", b.cfg.Apps, 0},
		{"policies", b.cfg.Policies, 0},
		{"concurrency", b.cfg.Concurrency, 1},
		{"rooms", b.cfg.Rooms, 1},
		{"rounds", []int{b.cfg.Rounds}, 1},
		{"services", []int{b.cfg.Services}, 1},
	} {
		if len(f.values) == 0 || slices.Min(f.values) < f.least {
			return usage(c, "--%s must be %d or more, not %s", f.name, f.least, strings.Trim(fmt.Sprint(f.values), "[]"))
		}
	}
	if most := slices.Max(b.cfg.Policies); most > bench.MaxPolicies {
		return usage(c, "--policies must be %d or less, not %d", bench.MaxPolicies, most)
	}
	if b.cfg.Duration <= 0 {
		return usage(c, "--duration must be more than 0, not %s", b.cfg.Duration)
	}
	return nil
}

// readTrace reads the trace to replay.
func (b *benching) readTrace(c *cobra.Command) error {
	if b.trace == "" {
		return nil
	}
	f, _, err := open(c, b.trace)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // the file was only read
	r, err := trace.NewReader(f)
	if err != nil {
		return &usageError{fmt.Sprintf("%s: %v", b.trace, err)}
	}
	t, bad, err := bench.ReadTrace(r, b.limit)
	if err != nil {
		return fmt.Errorf("%s: %w", b.trace, err)
	}
	if len(bad) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%s: skipped bad rows: %d; the first: %v\n", b.trace, len(bad), bad[0])
	}
	if t.Rows() < b.cfg.Rounds {
		return usage(c, "%s has %d rows, and --rounds is %d", b.trace, t.Rows(), b.cfg.Rounds)
	}
	b.cfg.Trace = t
	return nil
}

// nats starts a NATS server, unless the flags or the environment name another.
func (b *benching) nats(ctx context.Context) (stop func(), err error) {
	if b.conn.elsewhere() {
		b.cfg.Settings = b.conn.settings()
		return func() {}, nil
	}
	dir, err := os.MkdirTemp(b.storeDir, "roombus-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for NATS: %w", err)
	}
	server, err := embedded.Start(ctx, embedded.Config{StoreDir: dir, Listen: "127.0.0.1:0", SyncAlways: b.cfg.Synced})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	b.cfg.Settings = bus.Settings{URL: server.URL()}
	return func() {
		server.Shutdown()
		_ = os.RemoveAll(dir)
	}, nil
}
