package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

// reading holds the flags that commands which show a stream share.
type reading struct {
	conn   *connection
	out    *output
	room   string
	since  string
	last   int
	follow bool
}

// addFlags adds the flags of a command that shows messages of this kind.
func (r *reading) addFlags(c *cobra.Command, what string) {
	r.conn.addFlags(c)
	r.out.addFlags(c)
	r.addBounds(c, what)
	c.Flags().IntVar(&r.last, "last", 0, "begin with the last "+what+", this many of them (0: with the first)")
	c.Flags().BoolVarP(&r.follow, "follow", "f", false, "continue with new "+what+" as they happen")
}

func (r *reading) addBounds(c *cobra.Command, what string) {
	c.Flags().StringVar(&r.room, "room", "", "only "+what+" of this room")
	c.Flags().StringVar(&r.since, "since", "", "only "+what+" stored since then: "+sinceForms)
}

// bounds checks the flags and returns the time of --since, or zero.
func (r *reading) bounds(c *cobra.Command) (since time.Time, err error) {
	if r.room != "" {
		if err := room.ValidateToken("ROOM", r.room); err != nil {
			return since, err
		}
	}
	if r.last < 0 {
		return since, usage(c, "--last must not be less than 0")
	}
	if r.since != "" {
		if since, err = parseTime(r.since); err != nil {
			return since, usage(c, "--since %v", err)
		}
	}
	return since, nil
}

// view says which messages of a stream a command shows.
type view struct {
	stream  string
	filters []string // subjects
	accepts func(*jetstream.RawStreamMsg) bool
	line    func(io.Writer, *jetstream.RawStreamMsg) error
	room    []subjectOf // if none of these subjects has a message, the command says that the room is unknown; empty: no such check
	app     string      // the app that the messages belong to, if it is one app
}

// subjectOf is a subject of a stream.
type subjectOf struct{ stream, subject string }

// show writes the messages of the view and returns their number.
func (r *reading) show(c *cobra.Command, v view) (n int, err error) {
	since, err := r.bounds(c)
	if err != nil {
		return 0, err
	}
	nc, js, err := r.conn.jetStream(c.Context())
	if err != nil {
		return 0, err
	}
	defer func() {
		err = denied(nc, err)
		nc.Close()
	}()
	if r.room != "" && len(v.room) > 0 {
		noteUnknownRoom(c, js, r.room, v.room)
	}
	for msg, err := range r.messages(c.Context(), js, v, since) {
		if err == nil && !v.accepts(msg) {
			continue
		}
		if err == nil {
			err = v.line(c.OutOrStdout(), msg)
		}
		if c.Context().Err() != nil {
			return n, nil // the user ends --follow
		}
		if err != nil {
			return n, err
		}
		n++
	}
	if n == 0 && v.app != "" {
		noteUnknownApp(c, js, v.app)
	}
	return n, nil
}

// messages yields the messages to show. With --last these begin with the last messages of the
// stream.
func (r *reading) messages(ctx context.Context, js jetstream.JetStream, v view, since time.Time) iter.Seq2[*jetstream.RawStreamMsg, error] {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: v.filters}
	if !since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	if r.last == 0 {
		return bus.Read(ctx, js, v.stream, cfg, r.follow)
	}
	return func(yield func(*jetstream.RawStreamMsg, error) bool) {
		end, last, err := tail(ctx, js, v, since, r.last)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, msg := range last {
			if !yield(msg, nil) {
				return
			}
		}
		if !r.follow {
			return
		}
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, end+1, nil
		bus.Read(ctx, js, v.stream, cfg, true)(yield)
	}
}

// noteUnknownRoom writes to stderr if none of the subjects of a room has a message, which explains
// an empty result.
func noteUnknownRoom(c *cobra.Command, js jetstream.JetStream, id string, of []subjectOf) {
	if !exists(c.Context(), js, of) {
		fmt.Fprintf(c.ErrOrStderr(), "roombus: there is no room %q, and the streams have nothing of it\n", id)
	}
}

// exists reports whether one of the subjects has a message. A subject that the user may not read
// counts as having one.
func exists(ctx context.Context, js jetstream.JetStream, subjects []subjectOf) bool {
	for _, of := range subjects {
		s, err := js.Stream(ctx, of.stream)
		if err == nil {
			_, err = s.GetLastMsgForSubject(ctx, of.subject)
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return true
		}
	}
	return false
}

const sinceForms = "a duration such as 10m, 12h or 7d, or a time such as 2026-01-02T15:04:05Z"

// parseTime parses a time, or a duration before now.
func parseTime(s string) (time.Time, error) {
	if d, err := parseDuration(s); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("must be %s, not %q", sinceForms, s)
}

// parseDuration is time.ParseDuration with days in front: 7d, 1d12h.
func parseDuration(s string) (time.Duration, error) {
	const day, maxDays = 24 * time.Hour, 1 << 16
	number, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		return time.ParseDuration(s)
	}
	days, err := strconv.ParseUint(number, 10, 64)
	if err != nil || days > maxDays {
		return 0, fmt.Errorf("%q is no number of days", number)
	}
	if rest == "" {
		return time.Duration(days) * day, nil
	}
	d, err := time.ParseDuration(rest)
	if err == nil && d < 0 {
		err = fmt.Errorf("%q is less than 0", rest)
	}
	return time.Duration(days)*day + d, err
}
