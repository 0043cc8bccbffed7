package main

import (
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

// reading is what the commands that show a stream have in common.
type reading struct {
	conn   *connection
	out    *output
	room   string
	since  string
	follow bool
}

// addFlags adds those of a command that shows such messages.
func (r *reading) addFlags(c *cobra.Command, what string) {
	r.conn.addFlags(c)
	r.out.addFlags(c)
	r.addBounds(c, what)
	c.Flags().BoolVarP(&r.follow, "follow", "f", false, "go on with "+what+" as they happen")
}

func (r *reading) addBounds(c *cobra.Command, what string) {
	c.Flags().StringVar(&r.room, "room", "", "only "+what+" of this room")
	c.Flags().StringVar(&r.since, "since", "", "only "+what+" stored since then: a duration such as 10m, or a time such as 2026-01-02T15:04:05Z")
}

// bounds checks the flags and returns the time of --since, zero without it.
func (r *reading) bounds(c *cobra.Command) (since time.Time, err error) {
	if r.room != "" {
		if err := room.ValidateToken("ROOM", r.room); err != nil {
			return since, err
		}
	}
	if r.since != "" {
		if since, err = parseTime(r.since); err != nil {
			return since, usage(c, "--since %v", err)
		}
	}
	return since, nil
}

// show writes the messages of the stream with those subjects, each as a line says, and returns
// how many there were.
func (r *reading) show(c *cobra.Command, stream string, filters []string, line func(io.Writer, *jetstream.RawStreamMsg) error) (n int, err error) {
	since, err := r.bounds(c)
	if err != nil {
		return 0, err
	}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: filters}
	if !since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	nc, js, err := r.conn.jetStream()
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	for msg, err := range bus.Read(c.Context(), js, stream, cfg, r.follow) {
		if err == nil {
			err = line(c.OutOrStdout(), msg)
		}
		if c.Context().Err() != nil {
			return n, nil // following ends when the user says so
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// parseTime is a time, or so long ago.
func parseTime(s string) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("must be a duration such as 10m or a time such as 2026-01-02T15:04:05Z, not %q", s)
}
