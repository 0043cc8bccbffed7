package roomsvc

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// appender appends to the stream of events.
type appender func(ctx context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error)

// commit publishes the post-event, guarded by the room's last sequence. It is the one place
// that publishes to room.post.>. When it fails, the projection has been caught up with the
// stream as well as could be, so that the next load finds the event if it was stored after
// all; the error is errMoved if the room is no longer as the view has it.
func (s *Service) commit(ctx context.Context, c room.Command, v room.View, d room.Draft) (room.Event, error) {
	if err := ended(ctx); err != nil {
		return room.Event{}, err
	}
	// What has been published may be stored, whatever the client's clock says: from here on the
	// command has the time that it takes to know.
	ctx = context.WithoutCancel(ctx)
	data := d.Final()
	e := room.Event{
		ID: c.ID, Type: d.Event, Room: c.Request.Target(), Time: v.Time(now()),
		Expected: v.Seq, Previous: v.Latest, Version: data.Room.Version,
		Replica: s.id, Fingerprint: room.Fingerprint(c.Request), CausedBy: c.CausedBy, Data: data,
	}
	subject, headers, body, err := subjects.EncodePost(e, c.TraceParent)
	if err != nil {
		return room.Event{}, err
	}
	s.pending.add(e, subject, body)
	defer s.pending.remove(e.ID)
	waiting, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	msg := &nats.Msg{Subject: subject, Header: headers, Data: body}
	e.Seq, err = s.append(waiting, msg, e.ID, bus.Guard{Seq: v.Seq, Filter: subjects.PostsOf(e.Room)})
	if err != nil {
		confirmed := s.confirm(ctx, c, v)
		var moved *movedError
		if !errors.As(confirmed, &moved) {
			s.readiness.notCommitted(err, time.Now())
		}
		if errors.Is(err, bus.ErrConflict) && moved != nil { // it may be spurious
			s.conflicts.Add(1)
			s.handovers.meet(e.Room, s.id, moved.by)
		}
		return room.Event{}, errors.Join(err, confirmed)
	}
	s.readiness.committed()
	s.projection.commit(e)
	return e, nil
}

// now is the time as events have it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
