package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// app is what can be done with apps.
type app struct {
	conn connection
	out  output
}

func newApp() *cobra.Command {
	a := &app{}
	c := &cobra.Command{Use: "app", Short: "Look at the registered apps, and decide about them"}
	a.conn.addFlags(c)
	a.conn.addTimeout(c, 5*time.Second)
	a.out.addFlags(c)
	return group(c,
		&cobra.Command{
			Use:     "ls",
			Aliases: aliases("ls"),
			Short:   "List the apps in the order in which they are asked",
			Long: `ls lists the apps in the order in which they are asked, and how they are doing. Interfaces
that an app is essential for have a star. WORKERS are the live ones that speak the NATS micro
protocol, as those made with the Go SDK do; with ? there are others only, which cannot be counted. The figures are sums over the replicas of the
room service, each since it started; P50 and P99 are times from asking to knowing. FAIL OPEN is how
often an action went on without a verdict of the app: an optional one that was disabled, absent, late,
failed, or behind an open breaker. BACKLOG is how
many post-events wait for the app, and the age of the oldest; DEAD is how many dead letters it has. An app is stuck on a room if its
workers have as many events in hand as they may and do not acknowledge the oldest, one of that
room: then the events of all rooms wait. app info has the event.`,
			Args: none("roombus app info APP shows one app"),
			RunE: a.conn.calling(a.list),
		},
		&cobra.Command{
			Use:   "info APP",
			Short: "Show an app, interface by interface",
			Args:  exactly("APP"),
			RunE:  a.conn.calling(a.info),
		},
		a.register(),
		a.decision("enable APP", "Have an app asked, and close its circuit breakers", "",
			func(ctx context.Context, client *roomclient.Client, args []string) (room.Manifest, error) {
				return client.EnableApp(ctx, args[0])
			}, "APP"),
		a.disable(),
		a.shadow(),
		a.decision("rollback APP VERSION", "Make a manifest that counted before count again",
			`rollback makes the manifest of a version that counted before count again; app info lists the
versions that are remembered. What has been decided about the app and the events that wait for it
stay as they are. A worker that registers the version rolled back from, or one in between, changes
nothing; a later version ends the rollback, and so does rolling back to the version rolled back from.`,
			func(ctx context.Context, client *roomclient.Client, args []string) (room.Manifest, error) {
				return client.RollbackApp(ctx, args[0], args[1])
			}, "APP", "VERSION"),
		a.remove())
}

func (a *app) shadow() *cobra.Command {
	c := a.decision("shadow APP on|off", "Have what an app says recorded only, or enforced",
		`shadow on has an app asked beside the others and what it says recorded, not enforced. Nothing
waits for it, but for 25 ms if it has been that fast. shadow off has it enforced.`,
		func(ctx context.Context, client *roomclient.Client, args []string) (room.Manifest, error) {
			return client.ShadowApp(ctx, args[0], args[1] == "on")
		}, "APP", "on|off")
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if args[1] != "on" && args[1] != "off" {
			return usage(c, "it is on or off, not %q", args[1])
		}
		return nil
	}
	return c
}

// decision is a command that changes how an app is treated, and says how it is now.
func (a *app) decision(use, short, long string, do func(context.Context, *roomclient.Client, []string) (room.Manifest, error), args ...string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: exactly(args...),
		RunE: a.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
			m, err := do(ctx, client, args)
			if err != nil {
				return err
			}
			return a.out.object(w, m, func(w io.Writer) {
				fmt.Fprintf(w, "app %s %s is %s\n", m.ID, m.Version, state(m))
			})
		}),
	}
}

func (a *app) list(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
	apps, err := client.Apps(ctx)
	if err != nil {
		return err
	}
	if a.out.json {
		for _, m := range apps {
			if err := writeJSON(w, m); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(w, "APP\tVERSION\tORDER\tSTATE\tWORKERS\tCALLS\tDENIED\tFAILED\tTIMED OUT\tFAIL OPEN\tP50\tP99\tBREAKER\tBACKLOG\tDEAD\tINTERFACES")
	for _, m := range apps {
		s := stateOf(m)
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%d\t%s\n", m.ID, m.Version, *m.Order, state(m.Manifest),
			workers(s), s.Calls, s.Denied-s.WouldHaveDenied, s.Failed, s.TimedOut, s.FailOpen, quantile(s.P50Ms), quantile(s.P99Ms),
			s.Breaker, backlog(s.Waiting), s.DeadLetters, interfaces(m.Manifest))
	}
	return t.Flush()
}

func (a *app) info(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
	m, err := client.App(ctx, args[0])
	if err != nil {
		return err
	}
	return a.out.object(w, m, func(w io.Writer) { showApp(w, m) })
}

func showApp(w io.Writer, m room.App) {
	s, p := stateOf(m), paintFor(w)
	t := newTable(w, "app\t"+m.ID)
	line := func(key, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", key, plain(fmt.Sprintf(format, args...)))
	}
	line("version", "%s", m.Version)
	if s.RolledBackFrom != "" {
		line("rolled back from", "%s", s.RolledBackFrom)
	}
	if len(s.Remembered) > 0 {
		line("remembered", "%s", strings.Join(s.Remembered, ", "))
	}
	if m.Description != "" {
		line("description", "%s", m.Description)
	}
	line("state", "%s%s", state(m.Manifest), decided(s.Operator))
	line("order", "%d", *m.Order)
	line("timeout", "%s", m.Timeout())
	for n, i := range m.Implements {
		line(first(n, "implements"), "%s", marked(m.Manifest, i))
	}
	if m.ReinvocationPolicy == room.ReinvokeIfNeeded {
		line("reinvocation", "if_needed: %s is asked again if a creation has been changed since", room.PreRoomCreatePrevent)
	}
	for n, i := range slices.Sorted(maps.Keys(m.When)) {
		line(first(n, "asked when"), "%s: %s", i, m.When[i])
	}
	for n, worker := range s.Workers {
		line(first(n, "workers"), "%s %s", worker.Version, worker.ID)
	}
	switch {
	case s.Unseen:
		line("workers", "? (there are, but none answers over the micro protocol)")
	case len(s.Workers) == 0:
		line("workers", "none")
	}
	if s.Backlog != nil {
		line("backlog", "%s", backlog(s.Waiting))
		line("in hand", "%s", inHand(s.Waiting))
	}
	if o := s.Oldest; o != nil {
		line("oldest event", "seq %d, room %s, %s", o.Seq, o.Room, clock(o.Time))
	}
	for _, count := range []struct {
		label string
		n     uint64
	}{{"parked events", s.Parked}, {"replays", s.Replays}} {
		if count.n > 0 {
			line(count.label, "%d", count.n)
		}
	}
	if m.HasPost() || s.DeadLetters > 0 {
		line("dead letters", "%d", s.DeadLetters)
	}
	_ = t.Flush()
	showPost(w, m.ID, s)
	if len(s.Interfaces) == 0 {
		return
	}
	fmt.Fprintf(w, "\nfigures of %d room service%s, each since it started\n", s.Replicas, map[bool]string{false: "s"}[s.Replicas == 1])
	t = newTable(w, "INTERFACE\tCALLS\tALLOWED\tDENIED\tWOULD DENY\tSKIPPED\tFAILED\tTIMED OUT\tUNAVAILABLE\tFAIL OPEN\tRETRIED\tLATE\tP50\tP99\tBREAKER")
	for _, i := range slices.Sorted(maps.Keys(s.Interfaces)) {
		f := s.Interfaces[i]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", i, f.Calls, f.Allowed, f.Denied-f.WouldHaveDenied,
			f.WouldHaveDenied, f.Skipped, f.Failed, f.TimedOut, f.Unavailable, f.FailOpen, f.Retried, f.Late,
			quantile(f.P50Ms), quantile(f.P99Ms), breaker(p, f.Breaker))
	}
	_ = t.Flush()
}

// showPost shows what workers report of their post-events.
func showPost(w io.Writer, app string, s room.AppState) {
	if len(s.Post) == 0 {
		return
	}
	fmt.Fprintf(w, "\npost-events of %s's workers, each since it started\n", app)
	t := newTable(w, "INTERFACE\tHANDLED\tFAILED\tRUNNING\tLONGEST\tLAST ERROR")
	for _, i := range slices.Sorted(maps.Keys(s.Post)) {
		f := s.Post[i]
		longest := "-"
		if f.InHand > 0 {
			longest = age(time.Duration(f.LongestMs) * time.Millisecond)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\n", i, f.Handled, f.Failed, f.InHand, longest, plain(cmp.Or(f.LastError, "-")))
	}
	_ = t.Flush()
}

// workers is how many there are, as far as that can be known.
func workers(s room.AppState) string {
	if s.Unseen {
		return "?"
	}
	return strconv.Itoa(len(s.Workers))
}

// stateOf is the state of an app; that of one which an older service lists is empty.
func stateOf(m room.App) room.AppState {
	if m.State == nil {
		return room.AppState{}
	}
	return *m.State
}

func state(m room.Manifest) string {
	s := "enabled"
	if !m.IsEnabled() {
		s = "disabled"
	}
	if m.Shadow {
		s += ", shadow"
	}
	return s
}

// decided says what of an app's state operators have decided.
func decided(o room.Settings) string {
	var words []string
	if o.Enabled != nil {
		words = append(words, map[bool]string{true: "enabled", false: "disabled"}[*o.Enabled])
	}
	if o.Shadow != nil {
		words = append(words, map[bool]string{true: "shadow on", false: "shadow off"}[*o.Shadow])
	}
	if words == nil {
		return ""
	}
	return " (decided by an operator: " + strings.Join(words, ", ") + ")"
}

// quantile is a time, if there was one to take: nobody who is not there takes any.
func quantile(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

func breaker(p paint, b room.Breaker) string {
	if b == room.BreakerClosed {
		return string(b)
	}
	return p.as(string(b), color.FgRed)
}

// backlog is how many events wait, since when, and the room that all others wait for.
func backlog(w room.Waiting) string {
	if w.Backlog == nil {
		return "-"
	}
	s := strconv.FormatUint(*w.Backlog, 10)
	if w.Oldest != nil {
		s += " (" + age(time.Since(w.Oldest.Time)) + ")"
	}
	if w.Stuck {
		s += " stuck on " + w.Oldest.Room
	}
	return s
}

// age is a duration in its largest unit.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		name string
		long time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}} {
		if d >= u.long {
			return strconv.FormatInt(int64(d/u.long), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(max(0, d)/time.Second), 10) + "s"
}

func inHand(w room.Waiting) string {
	if w.MaxAckPending == 0 {
		return strconv.Itoa(w.AckPending)
	}
	return fmt.Sprintf("%d of at most %d", w.AckPending, w.MaxAckPending)
}

// first is the label of the first of several lines.
func first(n int, label string) string {
	if n > 0 {
		return ""
	}
	return label
}

// interfaces lists what the app implements, essential ones marked with a star.
func interfaces(m room.Manifest) string {
	names := make([]string, 0, len(m.Implements))
	for _, i := range slices.Sorted(slices.Values(m.Implements)) {
		name := string(i)
		if m.Essential(i) {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func marked(m room.Manifest, i room.Interface) string {
	if m.Essential(i) {
		return string(i) + " (essential)"
	}
	return string(i)
}
