package main

import (
	"context"
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
	conn   *connection
	out    *output
	room   string
	event  string
	since  string
	follow bool
}

// eventLine is an event as --json shows it.
type eventLine struct {
	Seq     uint64         `json:"seq"`
	ID      string         `json:"id"`
	Time    time.Time      `json:"time"`
	Event   room.EventType `json:"event"`
	Room    string         `json:"room"`
	Version uint64         `json:"version"`
	Data    room.Data      `json:"data"`
}

func newEvents() *cobra.Command {
	e := &events{conn: &connection{}, out: &output{}}
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what happened to rooms",
		Long: `events reads the stream of post-events from its beginning, or from --since, to its end,
or with --follow on and on.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { _, err := e.run(c); return err },
	}
	e.conn.addFlags(c)
	e.out.addFlags(c)
	f := c.Flags()
	f.StringVar(&e.room, "room", "", "only events of this room")
	f.StringVar(&e.event, "event", "", "only events of this type: create, delete, userjoin or userleave")
	f.StringVar(&e.since, "since", "", "only events stored since then: a duration such as 10m, or a time such as 2026-01-02T15:04:05Z")
	f.BoolVarP(&e.follow, "follow", "f", false, "go on with events as they happen")
	return c
}

func newHistory(conn *connection, out *output) *cobra.Command {
	e := &events{conn: conn, out: out}
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

// run shows the events and returns how many there were.
func (e *events) run(c *cobra.Command) (int, error) {
	cfg, err := e.consumer(c)
	if err != nil {
		return 0, err
	}
	nc, err := e.conn.connect()
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, fmt.Errorf("using JetStream: %w", err)
	}
	consumer, err := js.OrderedConsumer(c.Context(), subjects.Events, cfg)
	if err != nil {
		return 0, fmt.Errorf("reading the events: %w", err)
	}
	info := consumer.CachedInfo()
	if info.NumPending == 0 && !e.follow {
		return 0, nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return 0, fmt.Errorf("reading the events: %w", err)
	}
	defer messages.Stop()
	n, err := e.show(c.Context(), c.OutOrStdout(), messages)
	if c.Context().Err() != nil {
		err = nil // following ends when the user says so
	}
	return n, err
}

func (e *events) show(ctx context.Context, w io.Writer, messages jetstream.MessagesContext) (int, error) {
	for n := 0; ; n++ {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return n, fmt.Errorf("reading the events: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return n, fmt.Errorf("reading the events: %w", err)
		}
		if err := e.line(w, msg, meta); err != nil {
			return n, err
		}
		if meta.NumPending == 0 && !e.follow {
			return n + 1, nil
		}
	}
}

func (e *events) line(w io.Writer, msg jetstream.Msg, meta *jetstream.MsgMetadata) error {
	ev, err := subjects.DecodePost(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	if err != nil {
		return e.out.object(w, map[string]any{"seq": meta.Sequence.Stream, "subject": msg.Subject(), "quarantined": err.Error()}, func(w io.Writer) {
			fmt.Fprintf(w, "%s  %6d  %s is no event: %v\n", clock(meta.Timestamp), meta.Sequence.Stream, msg.Subject(), err)
		})
	}
	return e.out.object(w, eventLine{ev.Seq, ev.ID, ev.Time, ev.Type, ev.Room, ev.Version, ev.Data}, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %6d  %-9s  %s v%d  %s\n", clock(ev.Time), ev.Seq, ev.Type, ev.Room, ev.Version, about(ev.Data))
	})
}

// about says in a few words what an event was.
func about(d room.Data) string {
	var words []string
	switch {
	case d.JoiningUser != nil:
		words = append(words, d.JoiningUser.ID+" joined")
		if d.Inviter != nil {
			words = append(words, "invited by "+d.Inviter.ID)
		}
	case d.LeavingUser != nil:
		words = append(words, d.LeavingUser.ID+" left")
		if d.RemovedBy != nil {
			words = append(words, "removed by "+d.RemovedBy.ID)
		}
	case len(d.Members) > 0:
		words = append(words, fmt.Sprintf("%s %q by %s, members %d", d.Room.Type, d.Room.SlugifiedName, d.Room.Creator.ID, len(d.Members)))
	case d.DeletedBy != nil:
		words = append(words, "by "+d.DeletedBy.ID)
	}
	for _, a := range d.Apps {
		words = append(words, fmt.Sprintf("[%s %s]", a.App, a.Outcome))
	}
	return plain(strings.Join(words, " "))
}

// consumer is what to read, from the flags.
func (e *events) consumer(c *cobra.Command) (jetstream.OrderedConsumerConfig, error) {
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	types := room.EventTypes()
	if e.event != "" {
		if !slices.Contains(types, room.EventType(e.event)) {
			return cfg, usage(c, "--event must be create, delete, userjoin or userleave, not %q", e.event)
		}
		types = []room.EventType{room.EventType(e.event)}
	}
	if e.room != "" {
		if err := room.ValidateToken("ROOM", e.room); err != nil {
			return cfg, err
		}
	}
	for _, t := range types {
		if e.room != "" {
			cfg.FilterSubjects = append(cfg.FilterSubjects, subjects.Post(t, e.room))
		} else {
			cfg.FilterSubjects = append(cfg.FilterSubjects, subjects.PostsLike(t))
		}
	}
	if e.since != "" {
		at, err := parseSince(e.since)
		if err != nil {
			return cfg, usage(c, "%v", err)
		}
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &at
	}
	return cfg, nil
}

func parseSince(s string) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("--since must be a duration such as 10m or a time such as 2026-01-02T15:04:05Z, not %q", s)
}
