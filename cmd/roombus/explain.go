package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/audit"
	"github.com/roombus/roombus/room"
)

func newExplain() *cobra.Command {
	r := &reading{conn: &connection{}, out: &output{}}
	var isID bool
	c := &cobra.Command{
		Use:   "explain COMMAND-ID|SEQ",
		Short: "Show the verdicts of all apps on one command, and its result",
		Long: `explain looks for a command's events and rejections in both streams, and shows them in the
order in which it was tried. The id is that of the event or the rejection: roombus events and
roombus rejections show it in brackets, so does a command that fails, and the client that sends a
command may choose it.

A number is the sequence of an event, as roombus events shows it: then it is the command that made
the event. It is an id if there is no such event, or with --id.

An id that clients make by themselves tells when it was made, and only what was stored since is
read, unless there is nothing. With another id both streams are read from their beginning:
--room and --since make that faster. With --json the lines are those of events and rejections.`,
		Args: exactly("COMMAND-ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := room.ValidateToken("COMMAND-ID", args[0]); err != nil {
				return err
			}
			seq, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || isID {
				seq = 0
			}
			since, err := r.bounds(c)
			if err != nil {
				return err
			}
			nc, js, err := r.conn.jetStream()
			if err != nil {
				return err
			}
			defer nc.Close()
			found, err := audit.Find(c.Context(), js, audit.Query{ID: args[0], Seq: seq, Room: r.room, Since: since})
			if err != nil {
				return err
			}
			return r.tell(c.OutOrStdout(), found)
		},
	}
	r.conn.addFlags(c)
	r.out.addFlags(c)
	r.addBounds(c, "events and rejections")
	c.Flags().BoolVar(&isID, "id", false, "take a number for the command's id")
	return c
}

// tell writes the records of a command, one paragraph for each try.
func (r *reading) tell(w io.Writer, found []audit.Record) error {
	p := paintFor(w)
	for n, rec := range found {
		if n > 0 && !r.out.json {
			fmt.Fprintln(w)
		}
		var err error
		switch {
		case rec.Event != nil:
			err = r.out.object(w, lineOf(*rec.Event), func(w io.Writer) { p.committed(w, *rec.Event) })
		case rec.Rejection != nil:
			err = r.out.object(w, rejectionLine{rec.Msg.Sequence, *rec.Rejection}, func(w io.Writer) { p.rejected(w, *rec.Rejection) })
		default:
			err = r.out.object(w, quarantined(rec.Msg, rec.Err), func(w io.Writer) {
				fmt.Fprintf(w, "%s  %s, message %d, was not written by the room service: %s\n",
					clock(rec.Msg.Time), plain(rec.Msg.Subject), rec.Msg.Sequence, plain(rec.Err.Error()))
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p paint) committed(w io.Writer, e room.Event) {
	fmt.Fprintf(w, "%s  %s\n", clock(e.Time), p.as(asked(e.Type.Command(), e.Room, e.Data), color.Bold))
	p.causes(w, e.CausedBy)
	for _, a := range e.Data.Apps {
		p.verdict(w, a)
	}
	for _, says := range e.Data.Warnings {
		p.warning(w, says)
	}
	p.cut(w, e.Data.Cut)
	fmt.Fprintf(w, "  = %s as event seq %d, version %d of the room\n", p.as("committed", color.FgGreen), e.Seq, e.Version)
}

func (p paint) rejected(w io.Writer, r room.Rejection) {
	fmt.Fprintf(w, "%s  %s\n", clock(r.Time), p.as(asked(r.Command, r.Room, r.Asked()), color.Bold))
	p.causes(w, r.CausedBy)
	for _, a := range r.Error.Apps {
		p.verdict(w, a)
	}
	p.cut(w, r.Error.Cut)
	fmt.Fprintf(w, "  = %s\n", cause(r, p))
}

// causes shows the commands that led to the explained command, oldest first.
func (p paint) causes(w io.Writer, ids []string) {
	if len(ids) > 0 {
		fmt.Fprintf(w, "    caused by %s\n", plain(strings.Join(ids, ", ")))
	}
}
