package roomsvc

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// confirm asks the stream's leader whether the room is unchanged since the view. If it has moved,
// confirm waits until the projection has caught up with the leader.
func (cm *committer) confirm(command context.Context, c rules.Command, v rules.View) outcome {
	ctx, cancel := context.WithTimeout(command, cm.cfg.AckWait)
	defer cancel()
	o := outcome{fate: unchanged, seq: v.Seq}
	last, err := bus.LeaderLast(ctx, cm.nc, subjects.Events, subjects.PostsOf(c.Request.Target()))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		o.fate, o.err = gone, err
	case err != nil:
		if command.Err() == nil { // else the command had no time left
			cm.health.LeaderSilent(err)
		}
		o.fate, o.err = silent, fmt.Errorf("the stream's leader does not answer: %w", err)
	case last.Seq == v.Seq:
	case last.Seq == 0 && !v.Exists && cm.isRemoved(ctx, c.Request.Target(), v.Seq):
		cm.projection.Forget(c.Request.Target(), v.Seq) // another service was faster
		o.fate = moved
	case last.Seq < v.Seq:
		cm.health.RoomBehind(c.Request.Target(), last.Seq, v.Seq)
		o.fate = behind
		o.err = behindError(c.Request.Target(), last.Seq, v.Seq)
	default:
		o.fate, o.by = moved, subjects.Committer(last.Header())
		if err := cm.projection.AwaitSeq(ctx, last.Seq); err != nil {
			o.fate, o.err = unstored, fmt.Errorf("waiting for sequence %d of the stream: %w", last.Seq, err)
		}
	}
	return o
}

// isRemoved reports whether the retention has removed a room: the leader has no event of it, and is
// not behind its deletion.
func (cm *committer) isRemoved(ctx context.Context, roomID string, deleted uint64) bool {
	info, err := cm.events.Info(ctx, jetstream.WithSubjectFilter(subjects.PostsOf(roomID)))
	return err == nil && info.State.LastSeq >= deleted && len(info.State.Subjects) == 0
}
