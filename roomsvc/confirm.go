package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// confirm asks the stream's leader whether the room is unchanged since the view. If it has changed,
// confirm waits until the projection has caught up with the leader, and returns errMoved.
func (s *Service) confirm(command context.Context, c rules.Command, v rules.View) error {
	ctx, cancel := context.WithTimeout(command, s.cfg.AckWait)
	defer cancel()
	last, err := bus.LeaderLast(ctx, s.nc, subjects.Events, subjects.PostsOf(c.Request.Target()))
	switch {
	case err != nil:
		if command.Err() == nil && !errors.Is(err, jetstream.ErrStreamNotFound) { // else the command had no time left, or the stream is gone
			s.health.leaderSilent(s.ctx, &s.running, err)
		}
		return fmt.Errorf("%w: %w", errSilent, err)
	case last.Seq == v.Seq:
		return nil
	case last.Seq == 0 && !v.Exists && s.isRemoved(ctx, c.Request.Target(), v.Seq):
		s.projection.Forget(c.Request.Target(), v.Seq) // another service was faster
		return &movedError{}
	case last.Seq < v.Seq:
		if leftOut, log := s.behindLines.Admit(c.Request.Target(), time.Now()); log {
			s.log.Error("events of a room missing from the stream", "room", c.Request.Target(), "has", last.Seq, "seen", v.Seq, "left_out", leftOut)
		}
		return &behindError{room: c.Request.Target(), has: last.Seq, seen: v.Seq}
	}
	if err := s.projection.AwaitSeq(ctx, last.Seq); err != nil {
		return fmt.Errorf("waiting for sequence %d of the stream: %w", last.Seq, err)
	}
	return &movedError{by: subjects.Committer(last.Header())}
}

// isRemoved reports whether the retention has removed a room: the leader has no event of it, and is
// not behind its deletion.
func (s *Service) isRemoved(ctx context.Context, roomID string, deleted uint64) bool {
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(subjects.PostsOf(roomID)))
	return err == nil && info.State.LastSeq >= deleted && len(info.State.Subjects) == 0
}
