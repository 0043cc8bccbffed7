package roomsvc

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// commit publishes the post-event, guarded by the room's last sequence. It is the one place
// that publishes to room.post.>. When it fails, the projection has been caught up with the
// stream as well as could be, so that the next load finds the event if it was stored after
// all.
func (s *Service) commit(ctx context.Context, c room.Command, v room.View, d room.Draft) (room.Event, error) {
	if ctx.Err() != nil {
		return room.Event{}, ctx.Err()
	}
	data := d.Final()
	e := room.Event{
		ID: c.ID, Type: d.Event, Room: c.Request.Target(), Time: c.Time,
		Expected: v.Seq, Version: data.Room.Version, Data: data,
	}
	subject, headers, body, err := subjects.EncodePost(e, c.TraceParent)
	if err != nil {
		return room.Event{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	msg := &nats.Msg{Subject: subject, Header: headers, Data: body}
	e.Seq, err = bus.Append(waiting, s.js, msg, e.ID, bus.Guard{Seq: v.Seq, Filter: subjects.PostsOf(e.Room)})
	if err != nil {
		return room.Event{}, errors.Join(err, ignoreMoved(s.confirm(ctx, c, v)))
	}
	s.projection.commit(e)
	return e, nil
}

// confirm asks the stream's leader whether the room is still as the view has it. If not, it
// waits until the projection has what the leader has, and returns errMoved.
func (s *Service) confirm(ctx context.Context, c room.Command, v room.View) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	var last uint64
	msg, err := s.stream.GetLastMsgForSubject(ctx, subjects.PostsOf(c.Request.Target()))
	switch {
	case err == nil:
		last = msg.Sequence
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return fmt.Errorf("asking the stream's leader about the room: %w", err)
	}
	switch {
	case last == v.Seq:
		return nil
	case last < v.Seq:
		s.log.Error("the stream lacks events of a room", "room", c.Request.Target(), "has", last, "seen", v.Seq)
		return fmt.Errorf("%w: it has the room at sequence %d, %d has been seen", errBehind, last, v.Seq)
	}
	if err := s.projection.reach(ctx, last); err != nil {
		return fmt.Errorf("waiting for sequence %d of the stream: %w", last, err)
	}
	return errMoved
}

func ignoreMoved(err error) error {
	if errors.Is(err, errMoved) {
		return nil
	}
	return err
}
