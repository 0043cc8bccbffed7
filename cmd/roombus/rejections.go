package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// rejections reads rejected commands from their stream.
type rejections struct {
	reading
	app  string
	kind string
}

// rejectionLine is a rejection, as --json shows it.
type rejectionLine struct {
	Seq uint64 `json:"seq"`
	room.Rejection
}

func newRejections() *cobra.Command {
	r := &rejections{reading: reading{conn: &connection{}, out: &output{}}}
	c := &cobra.Command{
		Use:   "rejections",
		Short: "Show rejected commands, and why they were rejected",
		Long: `rejections reads the stream of rejections from its beginning, from --since or with --last, to its
end. With --follow it does not end. The id in brackets is the command's, for roombus explain.

A command is denied by an app, blocked by an essential app that gave no usable answer, or
aborted: no app denied it, but it could not be committed. Rejections are kept for 7 days
unless the stream is configured otherwise. Writing them is best effort: if the stream does not
accept them, they are dropped.`,
		Args: none("choose a room with --room, an app with --app"),
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c) },
	}
	r.addFlags(c, "rejections")
	c.Flags().StringVar(&r.app, "app", "", "only rejections that this app caused: it denied or blocked the command")
	c.Flags().StringVar(&r.kind, "kind", "", "only rejections of this kind: denied, blocked or aborted")
	return c
}

func (r *rejections) run(c *cobra.Command) error {
	if r.kind != "" && !slices.Contains(room.RejectionKinds(), room.RejectionKind(r.kind)) {
		return usage(c, "--kind must be denied, blocked or aborted, not %q", r.kind)
	}
	if r.app != "" {
		if err := room.ValidateToken("--app", r.app); err != nil {
			return err
		}
	}
	filter := subjects.AllRejections
	if r.room != "" {
		filter = subjects.RejectionsOf(r.room)
	}
	_, err := r.show(c, view{
		stream: subjects.Rejections, filters: []string{filter}, accepts: r.accepts, line: r.line, app: r.app,
		room: []subjectOf{{subjects.Events, subjects.PostsOf(r.room)}, {subjects.Rejections, subjects.RejectionsOf(r.room)}},
	})
	return err
}

// accepts reports whether the flags choose the message. A message that is no rejection is always
// accepted.
func (r *rejections) accepts(msg *jetstream.RawStreamMsg) bool {
	if r.app == "" && r.kind == "" {
		return true
	}
	rejected, err := subjects.DecodeRejection(msg.Subject, msg.Header, msg.Data)
	return err != nil || (r.app == "" || rejected.Error.App == r.app) && (r.kind == "" || string(rejected.Kind) == r.kind)
}

func (r *rejections) line(w io.Writer, msg *jetstream.RawStreamMsg) error {
	rejected, err := subjects.DecodeRejection(msg.Subject, msg.Header, msg.Data)
	if err != nil {
		return r.out.object(w, quarantined(msg, err), func(w io.Writer) {
			fmt.Fprintf(w, "%s  %6d  %s is no rejection: %s\n", clock(msg.Time), msg.Sequence, plain(msg.Subject), plain(err.Error()))
		})
	}
	return r.out.object(w, rejectionLine{msg.Sequence, rejected}, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %6d  %s: %s  [%s]\n", clock(rejected.Time), msg.Sequence,
			asked(rejected.Command, rejected.Room, rejected.Asked()), cause(rejected, paintFor(w)), rejected.ID)
	})
}

// asked summarizes in a few words the change that a command asked for.
func asked(command, roomID string, d room.Data) string {
	says := command + " " + roomID
	if words := participants(d, "", "", ""); len(words) > 0 {
		says += " (" + strings.Join(words, " ") + ")"
	}
	return plain(says)
}

// cause says why a command was rejected.
func cause(r room.Rejection, p paint) string {
	says, why := p.kind(r.Kind), r.Error.Message
	if r.Error.App != "" {
		says, why = says+" by "+plain(r.Error.App)+ofRule(ruleOf(r.Error)), r.Error.Reason
	}
	says += ", " + plain(string(r.Error.Code))
	if why != "" {
		says += ": " + plain(why)
	}
	return says
}
