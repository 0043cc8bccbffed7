package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// past is a position in the stream: a sequence, or if that is 0, a time.
type past struct {
	seq  uint64
	time time.Time
}

// presentOrPast adds --at to a command that shows a room.
func (r *rooms) presentOrPast(c *cobra.Command, present func(*cobra.Command, []string) error, show func(io.Writer, *rules.State) error) func(*cobra.Command, []string) error {
	var at string
	c.Flags().StringVar(&at, "at", "", "as it was then, read from the stream: after the event of this sequence, "+
		"so long ago, such as 10m, or at a time such as 2026-01-02T15:04:05Z; a time or sequence in the future is an error")
	return func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("at") {
			return present(c, args)
		}
		then, err := r.then(c, args[0], at)
		if err != nil {
			return err
		}
		return show(c.OutOrStdout(), then)
	}
}

// then returns the room as it was at that position. The error has the code room_not_found if the
// room did not exist then.
func (r *rooms) then(c *cobra.Command, id, at string) (*rules.State, error) {
	if err := room.ValidateToken("ROOM", id); err != nil {
		return nil, err
	}
	p, err := parsePast(at)
	if err != nil {
		return nil, usage(c, "%v", err)
	}
	nc, js, err := r.conn.jetStream(c.Context())
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	stream, err := js.Stream(c.Context(), subjects.Events)
	if err != nil {
		return nil, fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
	}
	if last := stream.CachedInfo().State.LastSeq; p.seq > last {
		return nil, usage(c, "--at %d is yet to come: the stream's last event is %d", p.seq, last)
	}
	then, err := p.room(c.Context(), js, id)
	if err == nil && then.Room == nil {
		err = room.Errorf(room.CodeRoomNotFound, "there was no room %q then, or the stream no longer has its history", id)
	}
	return then, err
}

func parsePast(s string) (past, error) {
	seq, notSeq := strconv.ParseUint(s, 10, 64)
	t, err := parseTime(s)
	switch {
	case seq > 0:
		return past{seq: seq}, nil
	case notSeq == nil:
		return past{}, errors.New("--at: the first event has sequence 1")
	case err != nil:
		return past{}, fmt.Errorf("--at may be an event's sequence; otherwise it %w", err)
	case t.After(time.Now()):
		return past{}, fmt.Errorf("--at %s is yet to come", s)
	}
	return past{time: t}, nil
}

// room builds a room from its events up to the position. Like the service, it skips messages that
// are no events and events that do not chain.
func (p past) room(ctx context.Context, js jetstream.JetStream, id string) (*rules.State, error) {
	s := &rules.State{}
	events := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subjects.PostsOf(id)}}
	for msg, err := range bus.Read(ctx, js, subjects.Events, events, false) {
		if err != nil {
			return nil, err
		}
		if p.before(msg) {
			break
		}
		e, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
		if err == nil {
			err = rules.Evolve(s, e)
		}
		if err != nil {
			s.Skip(msg.Sequence)
		}
	}
	return s, nil
}

func (p past) before(msg *jetstream.RawStreamMsg) bool {
	if p.seq > 0 {
		return msg.Sequence > p.seq
	}
	return msg.Time.After(p.time)
}
