package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// events reads post-events from the stream.
type events struct {
	reading
	event string
	where []subjectOf // if none of these subjects has a message, the command says that the room is unknown; empty: no such check
}

// eventLine is an event, as --json shows it.
type eventLine struct {
	Seq      uint64         `json:"seq"`
	ID       string         `json:"id"`
	Time     time.Time      `json:"time"`
	Event    room.EventType `json:"event"`
	Room     string         `json:"room"`
	Version  uint64         `json:"version"`
	CausedBy []string       `json:"causedBy,omitempty"`
	Data     room.Data      `json:"data"`
}

func newEvents() *cobra.Command {
	e := &events{reading: reading{conn: &connection{}, out: &output{}}}
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what happened to rooms",
		Long: `events reads the stream of post-events from its beginning, from --since or with --last, to its
end. With --follow it does not end. A line has the event's sequence, the room and its version, the
verdicts of the apps and, in brackets, the id of the command, for roombus explain.`,
		Args: none("choose a room with --room"),
		RunE: func(c *cobra.Command, _ []string) error {
			e.where = []subjectOf{{subjects.Events, subjects.PostsOf(e.room)}}
			_, err := e.run(c)
			return err
		},
	}
	e.addFlags(c, "events")
	c.Flags().StringVar(&e.event, "event", "", "only events of this type: "+eventNames())
	return c
}

func newHistory(conn *connection, out *output) *cobra.Command {
	e := &events{reading: reading{conn: conn, out: out}}
	c := &cobra.Command{
		Use:   "history ROOM",
		Short: "Show what happened to a room, also to a deleted one",
		Args:  exactly("ROOM"),
		RunE: func(c *cobra.Command, args []string) error {
			if e.room = args[0]; e.room == "" {
				return usage(c, "ROOM is empty")
			}
			n, err := e.run(c)
			if err == nil && n == 0 && c.Context().Err() == nil {
				return room.NotFound(e.room)
			}
			return err
		},
	}
	return c
}

// eventNames lists the types of events in a sentence.
func eventNames() string {
	var names []string
	for _, e := range room.EventTypes() {
		names = append(names, string(e))
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// run shows the events and returns their number.
func (e *events) run(c *cobra.Command) (int, error) {
	types := room.EventTypes()
	if e.event != "" {
		if !slices.Contains(types, room.EventType(e.event)) {
			return 0, usage(c, "--event must be %s, not %q", eventNames(), e.event)
		}
		types = []room.EventType{room.EventType(e.event)}
	}
	var filters []string
	for _, t := range types {
		if e.room != "" {
			filters = append(filters, subjects.Post(t, e.room))
		} else {
			filters = append(filters, subjects.PostsLike(t))
		}
	}
	return e.show(c, view{
		stream: subjects.Events, filters: filters, line: e.line,
		accepts: func(*jetstream.RawStreamMsg) bool { return true },
		room:    e.where,
	})
}

func (e *events) line(w io.Writer, msg *jetstream.RawStreamMsg) error {
	ev, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
	if err != nil {
		return e.out.object(w, quarantined(msg, err), func(w io.Writer) {
			fmt.Fprintf(w, "%s  %6d  %s is no event: %s\n", clock(msg.Time), msg.Sequence, plain(msg.Subject), plain(err.Error()))
		})
	}
	return e.out.object(w, lineOf(ev), func(w io.Writer) {
		fmt.Fprintf(w, "%s  %6d  %-10s  %s v%d  %s  [%s]\n", clock(ev.Time), ev.Seq, ev.Type, ev.Room, ev.Version, about(ev), ev.ID)
	})
}

func lineOf(e room.Event) eventLine {
	return eventLine{e.Seq, e.ID, e.Time, e.Type, e.Room, e.Version, e.CausedBy, e.Data}
}

// quarantined is the --json form of a message that is not of the kind its stream holds.
func quarantined(msg *jetstream.RawStreamMsg, why error) map[string]any {
	return map[string]any{"seq": msg.Sequence, "subject": msg.Subject, "quarantined": why.Error()}
}

// about summarizes an event in a few words.
func about(e room.Event) string {
	words := participants(e.Data, " joined", " left", "changed ")
	for _, a := range e.Data.Apps {
		words = append(words, fmt.Sprintf("[%s]", verdictText(e.Type, a)))
	}
	return plain(strings.Join(words, " "))
}

// verdictText summarizes an app's verdict, with the phase if the event has several.
func verdictText(e room.EventType, a room.AppOutcome) string {
	words := []string{a.App}
	if len(e.Phases()) > 1 {
		words = append(words, strings.TrimPrefix(a.Interface.Token(), e.Command()))
	}
	if words = append(words, string(a.Outcome)+ofRule(a.Rule)); a.Reinvoked {
		words = append(words, "again")
	}
	return strings.Join(words, " ")
}

// participants names the users and fields that a change concerns, and its author.
func participants(d room.Data, joined, left, changed string) []string {
	var words []string
	switch {
	case d.JoiningUser != nil:
		words = append(words, d.JoiningUser.ID+joined)
		if d.Inviter != nil {
			words = append(words, "invited by "+d.Inviter.ID)
		}
	case d.LeavingUser != nil:
		words = append(words, d.LeavingUser.ID+left)
		if d.RemovedBy != nil {
			words = append(words, "removed by "+d.RemovedBy.ID)
		}
	case len(d.Changed) > 0:
		if d.UserAfter != nil && changed == "" {
			words = append(words, d.UserAfter.ID+":")
		} else if d.UserAfter != nil {
			words = append(words, d.UserAfter.ID)
		}
		words = append(words, changed+strings.Join(d.Changed, ", "))
		if d.UpdatedBy != nil {
			words = append(words, "by "+d.UpdatedBy.ID)
		}
	case len(d.Members) > 0:
		words = append(words, fmt.Sprintf("%s %q by %s, members %d", d.Room.Type, d.Room.SlugifiedName, d.Room.Creator.ID, len(d.Members)))
	case d.DeletedBy != nil:
		words = append(words, "by "+d.DeletedBy.ID)
	}
	return words
}
