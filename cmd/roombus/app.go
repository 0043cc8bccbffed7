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

// app holds the flags that the app commands share.
type app struct {
	conn connection
	out  output
}

func newApp() *cobra.Command {
	a := &app{}
	c := &cobra.Command{Use: "app", Short: "Show the registered apps, and change their settings"}
	a.conn.addFlags(c)
	a.conn.addTimeout(c, 5*time.Second)
	a.out.addFlags(c)
	return group(c,
		&cobra.Command{
			Use:     "ls",
			Aliases: aliases("ls"),
			Short:   "List the apps in the order in which they are asked",
			Long: `ls lists the apps in the order in which they are asked, with their state. A star marks the
interfaces that an app is essential for. WORKERS counts the live workers that speak the NATS micro
protocol, as workers made with the Go SDK do. "?" means that only other workers exist, which cannot
be counted. The counters are sums over the replicas of the room service, each since it started. P50
and P99 are latencies from the request to the verdict, in the last five to ten minutes.

FAIL OPEN counts the actions that went on without a verdict of an optional app, because the app was
disabled, absent, late, failed, or behind an open circuit breaker. BACKLOG is the number of
post-events that wait for the app, and the age of the oldest. DEAD is its number of dead letters.
KIND is policy for an app that consists of rules: it has no workers and no circuit breaker.

An app is stuck on a room if its workers have reached their limit of unacknowledged events and do
not acknowledge the oldest, an event of that room. The events of all rooms then wait. app info shows
that event.`,
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
		a.decision("enable APP", "Enable an app, and close its circuit breakers", "",
			func(ctx context.Context, client *roomclient.Client, args []string) (room.Manifest, error) {
				return client.EnableApp(ctx, args[0])
			}, "APP"),
		a.disable(),
		a.shadow(),
		a.decision("rollback APP VERSION", "Put an earlier manifest into force again",
			`rollback puts the manifest of an earlier version into force again. app info lists the versions that
are remembered. The settings of the app and the events that wait for it stay as they are. If a
worker registers the version that was rolled back, or a version in between, nothing changes. A later
version ends the rollback, and so does a rollback to the version that was rolled back.`,
			func(ctx context.Context, client *roomclient.Client, args []string) (room.Manifest, error) {
				return client.RollbackApp(ctx, args[0], args[1])
			}, "APP", "VERSION"),
		a.remove())
}

func (a *app) shadow() *cobra.Command {
	c := a.decision("shadow APP on|off", "Record an app's verdicts only, or enforce them",
		`shadow on makes the service record the verdicts of an app without enforcing them. The app is asked
together with the others. The service waits at most 25 ms for it, and only if it has been that
fast before. shadow off makes the service enforce its verdicts.`,
		func(ctx context.Context, client *roomclient.Client, args []string) (room.Manifest, error) {
			return client.ShadowApp(ctx, args[0], args[1] == "on")
		}, "APP", "on|off")
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if args[1] != "on" && args[1] != "off" {
			return usage(c, "shadow must be on or off, not %q", args[1])
		}
		return nil
	}
	return c
}

// decision is a command that changes the settings of an app and prints its new state.
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
	t := newTable(w, "APP\tKIND\tVERSION\tORDER\tSTATE\tWORKERS\tCALLS\tDENIED\tFAILED\tTIMED OUT\tFAIL OPEN\tP50\tP99\tBREAKER\tBACKLOG\tDEAD\tINTERFACES")
	for _, m := range apps {
		s := stateOf(m)
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%d\t%s\n", m.ID, kind(m.Manifest), m.Version, *m.Order, state(m.Manifest),
			workers(m), s.Calls, s.Denied-s.WouldHaveDenied, s.Failed, s.TimedOut, s.FailOpen, quantile(s.P50Ms), quantile(s.P99Ms),
			breaker(paint{}, m.Manifest, s.Breaker), backlog(s.Waiting), s.DeadLetters, interfaces(m.Manifest))
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
	t := newTable(w, kind(m.Manifest)+"\t"+m.ID)
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
	if !m.IsPolicy() {
		line("timeout", "%s", m.Timeout())
	}
	for n, i := range m.Implements {
		line(first(n, "implements"), "%s", marked(m.Manifest, i))
	}
	if m.ReinvocationPolicy == room.ReinvokeIfNeeded {
		line("reinvocation", "if_needed: %s is asked again if another app has changed the creation since", room.PreRoomCreatePrevent)
	}
	for n, i := range slices.Sorted(maps.Keys(m.When)) {
		line(first(n, "asked when"), "%s: %s", i, m.When[i])
	}
	for n, worker := range s.Workers {
		line(first(n, "workers"), "%s %s", worker.Version, worker.ID)
	}
	showRules(line, m.Manifest)
	switch {
	case m.IsPolicy():
	case s.Unseen:
		line("workers", "? (no worker speaks the micro protocol, so they cannot be counted)")
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
			quantile(f.P50Ms), quantile(f.P99Ms), breaker(p, m.Manifest, f.Breaker))
	}
	_ = t.Flush()
	showFailures(w, s)
}

// showFailures shows the last failure of each pre-interface.
func showFailures(w io.Writer, s room.AppState) {
	failed := maps.Clone(s.Interfaces)
	maps.DeleteFunc(failed, func(_ room.Interface, f room.Figures) bool { return f.LastFailure == nil })
	if len(failed) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable(w, "INTERFACE\tLAST FAILURE\tOUTCOME\tCOMMAND\tREASON")
	for _, i := range slices.Sorted(maps.Keys(failed)) {
		f := failed[i].LastFailure
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", i, clock(f.Time), f.Outcome, plain(f.Command), plain(f.Reason))
	}
	_ = t.Flush()
}

// showPost shows the post-event counters that the workers report.
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

// kind says whether an app has rules or workers.
func kind(m room.Manifest) string {
	if m.IsPolicy() {
		return "policy"
	}
	return "app"
}

// workers formats the number of workers, "?" if they cannot be counted, or "-" for a policy.
func workers(m room.App) string {
	switch s := stateOf(m); {
	case m.IsPolicy():
		return "-"
	case s.Unseen:
		return "?"
	default:
		return strconv.Itoa(len(s.Workers))
	}
}

// stateOf returns the state of an app. It is empty if an older service lists the app.
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

// decided formats the settings that an operator has chosen.
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

// quantile formats a latency, or "-" if there were no calls.
func quantile(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// breaker formats the state of a circuit breaker, or "-" for a policy.
func breaker(p paint, m room.Manifest, b room.Breaker) string {
	switch {
	case m.IsPolicy():
		return "-"
	case b == room.BreakerClosed:
		return string(b)
	}
	return p.as(string(b), color.FgRed)
}

// backlog formats the number of waiting events, the age of the oldest, and the room that blocks the
// others.
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

// age formats a duration in its largest unit.
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

// first returns the label for the first of several lines, and nothing for the others.
func first(n int, label string) string {
	if n > 0 {
		return ""
	}
	return label
}

// interfaces lists the interfaces of the app. A star marks the essential ones.
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
