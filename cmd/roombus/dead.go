package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/dead"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// deadLetters holds the flags that the dead letter commands share.
type deadLetters struct {
	conn  connection
	out   output
	app   string
	event string
	room  string
	all   bool // of purge
}

func newDead() *cobra.Command {
	d := &deadLetters{}
	c := &cobra.Command{
		Use:   "dead",
		Short: "Show the events that apps could not process, and deliver them again",
		Long: `An event becomes a dead letter of an app if the app discards it, or fails to process it as often as
its manifest allows. The dead letter is kept until it is replayed or purged.`,
	}
	d.conn.addFlags(c)
	d.out.addFlags(c)
	f := c.PersistentFlags()
	f.StringVar(&d.app, "app", "", "only dead letters of this app")
	f.StringVar(&d.event, "event", "", "only events of this type: "+eventNames())
	f.StringVar(&d.room, "room", "", "only events of this room")
	return group(c,
		d.command("ls", "List dead letters", "",
			none("choose with --app, --event or --room; roombus dead show SEQ shows one dead letter"), d.list),
		d.command("show [SEQ]", "Show dead letters whole, with the event's headers and body",
			"show shows the dead letter of that sequence, as ls lists it, or those that the flags choose.", between(0, "SEQ"), d.show),
		d.command("replay [SEQ]", "Deliver dead letters to their apps again",
			`replay delivers the dead letter of that sequence, or those that the flags choose, to their apps
again, with as many attempts as any event. A replayed event is not in order with the other events
of its room. If it fails again, it becomes a dead letter again.`, between(0, "SEQ"), d.replay),
		d.purging())
}

func (d *deadLetters) purging() *cobra.Command {
	c := d.command("purge [SEQ]", "Remove dead letters",
		"purge removes the dead letter of that sequence, or those that the flags choose.", between(0, "SEQ"), d.purge)
	c.Flags().BoolVar(&d.all, "all", false, "remove every dead letter of every app")
	c.PreRunE = func(c *cobra.Command, args []string) error {
		chosen := len(args) > 0 || d.app != "" || d.event != "" || d.room != ""
		switch {
		case !chosen && !d.all:
			return usage(c, "this would remove every dead letter of every app: choose with SEQ, --app, --event or --room, or say --all")
		case chosen && d.all:
			return usage(c, "--all goes without SEQ, --app, --event and --room")
		}
		return nil
	}
	return c
}

// command makes a cobra command that acts on the chosen dead letters.
func (d *deadLetters) command(use, short, long string, args cobra.PositionalArgs, do func(context.Context, io.Writer, *dead.Stream, dead.Filter) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Aliases: aliases(use), Short: short, Long: long,
		Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			filter, err := d.filter(c, args)
			if err != nil {
				return err
			}
			nc, js, err := d.conn.jetStream(c.Context())
			if err != nil {
				return err
			}
			defer nc.Close()
			letters, err := dead.Letters(c.Context(), js)
			if err != nil {
				return err
			}
			if d.app != "" && c.Name() == "ls" {
				noteUnknownApp(c, js, d.app)
			}
			if d.room != "" && c.Name() == "ls" {
				noteUnknownRoom(c, js, d.room, []subjectOf{
					{subjects.Events, subjects.PostsOf(d.room)}, {subjects.DeadLetters, subjects.DeadLike("", "", d.room)},
				})
			}
			return do(c.Context(), c.OutOrStdout(), letters, filter)
		},
	}
}

func (d *deadLetters) filter(c *cobra.Command, args []string) (dead.Filter, error) {
	f := dead.Filter{App: d.app, Event: room.EventType(d.event), Room: d.room}
	for _, token := range []struct{ flag, is string }{{"--app", d.app}, {"--room", d.room}} {
		if token.is != "" {
			if err := room.ValidateToken(token.flag, token.is); err != nil {
				return f, err
			}
		}
	}
	if d.event != "" && !slices.Contains(room.EventTypes(), f.Event) {
		return f, usage(c, "--event must be %s, not %q", eventNames(), d.event)
	}
	if len(args) == 0 {
		return f, nil
	}
	seq, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || seq == 0 {
		return f, usage(c, "SEQ must be the number of a dead letter, as ls lists it, not %q", args[0])
	}
	if f != (dead.Filter{}) {
		return f, usage(c, "SEQ chooses one dead letter: leave --app, --event and --room out")
	}
	return dead.Filter{Seq: seq}, nil
}

func (d *deadLetters) list(ctx context.Context, w io.Writer, letters *dead.Stream, f dead.Filter) error {
	t := newTable(tableOrNothing(w, d.out.json), "SEQ\tSTORED\tAPP\tEVENT\tROOM\tATTEMPTS\tID\tERROR")
	for l, err := range letters.Read(ctx, f) {
		if err != nil {
			return err
		}
		if err := d.out.object(w, l, func(io.Writer) {
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.Seq, clock(l.Time), plain(l.App), plain(string(l.Event)), plain(l.Room),
				l.Attempts, plain(l.ID), plain(reason(l)))
		}); err != nil {
			return err
		}
	}
	return t.Flush()
}

// reason formats why the event became a dead letter.
func reason(l dead.Letter) string {
	if l.Reason != nil {
		return "this is no dead letter: " + l.Reason.Error()
	}
	return l.Error
}

// wholeLetter is a dead letter, as show --json shows it.
type wholeLetter struct {
	dead.Letter
	Headers map[string][]string `json:"headers"`
	Data    json.RawMessage     `json:"data,omitempty"`
	Text    string              `json:"text,omitempty"` // a body that is not JSON
}

func (d *deadLetters) show(ctx context.Context, w io.Writer, letters *dead.Stream, f dead.Filter) error {
	for l, err := range letters.Read(ctx, f) {
		if err != nil {
			return err
		}
		whole := wholeLetter{Letter: l, Headers: l.Headers}
		if json.Valid(l.Data) {
			whole.Data = l.Data
		} else {
			whole.Text = string(l.Data)
		}
		if err := d.out.object(w, whole, func(w io.Writer) { showLetter(w, l) }); err != nil {
			return err
		}
	}
	return nil
}

func showLetter(w io.Writer, l dead.Letter) {
	t := newTable(w, fmt.Sprintf("dead letter\t%d", l.Seq))
	line := func(key, value string) { fmt.Fprintf(t, "%s\t%s\n", plain(key), plain(value)) }
	line("stored", clock(l.Time))
	line("app", l.App)
	line("event", fmt.Sprintf("%s of room %s, seq %d", l.Event, l.Room, l.EventSeq))
	line("attempts", strconv.FormatUint(l.Attempts, 10))
	line("error", reason(l))
	for _, key := range slices.Sorted(maps.Keys(l.Headers)) {
		line("header "+key, strings.Join(l.Headers[key], ", "))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "%s\n\n", plain(string(l.Data)))
}

func (d *deadLetters) replay(ctx context.Context, w io.Writer, letters *dead.Stream, f dead.Filter) error {
	var n uint64
	var left error // the dead letters that stay, because the app is gone
	for l, err := range letters.Read(ctx, f) {
		if err == nil {
			err = letters.Replay(ctx, l)
		}
		var gone *dead.NotFoundError
		switch {
		case errors.Is(err, &room.Error{Code: room.CodeAppNotFound}):
			left = err
		case errors.As(err, &gone) && f.Seq == 0: // another process removed it first
		case err != nil && n > 0:
			return fmt.Errorf("%w (%d replayed before)", err, n)
		case err != nil:
			return err
		default:
			n++
		}
	}
	return errors.Join(d.count(w, "replayed", n), left)
}

func (d *deadLetters) purge(ctx context.Context, w io.Writer, letters *dead.Stream, f dead.Filter) error {
	n, err := letters.Purge(ctx, f)
	if err != nil {
		return err
	}
	return d.count(w, "purged", n)
}

func (d *deadLetters) count(w io.Writer, done string, n uint64) error {
	return d.out.object(w, map[string]uint64{done: n}, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d dead letter%s\n", done, n, map[bool]string{false: "s"}[n == 1])
	})
}
