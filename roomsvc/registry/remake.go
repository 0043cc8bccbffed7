package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// mend records the ack floors of the consumers of post-events, and recreates consumers that are
// missing.
func (c *consumers) mend(ctx context.Context) {
	var missing []room.Manifest
	for _, m := range c.entries.list() {
		if !m.HasPost() {
			continue
		}
		look, cancel := context.WithTimeout(ctx, c.cfg.AckWait)
		consumer, err := c.cfg.Events.Consumer(look, subjects.Durable(m.ID))
		if err == nil {
			c.floors.set(m.ID, consumer.CachedInfo().AckFloor.Stream)
			_, err = c.cfg.Replays.Consumer(look, subjects.Durable(m.ID))
		}
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			missing = append(missing, m)
		case err != nil:
			return
		}
	}
	if len(missing) == 0 || !bus.Sleep(ctx, c.cfg.AckWait) { // an app that is being removed is gone after the wait
		return
	}
	for _, m := range missing {
		look, cancel := context.WithTimeout(ctx, c.cfg.AckWait)
		if r := c.entries.get(m.ID).registration; r != nil && c.entries.syncedRevision() > 0 && r.HasPost() {
			if err := c.prepare(look, r.Manifest, r); err != nil && !c.cfg.IsUnavailable() {
				c.cfg.Logger.Warn("cannot recreate the consumers of an app; retrying", "app", m.ID, "error", err)
			}
		}
		cancel()
	}
}

// remake recreates the missing consumer of a registered app. The consumer of post-events starts
// behind its last known ack floor, or with new events if the floor is unknown. remake logs which
// earlier events are delivered again and which are never delivered.
func (c *consumers) remake(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at the stream of consumer %s: %w", want.Durable, err)
	}
	if info.Config.Name != subjects.Events { // a work queue keeps unacknowledged messages
		return create(ctx, stream, want)
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	floor, known := c.floors.get(want.Durable)
	next := last + 1
	if known {
		next = min(floor, last) + 1
	}
	want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = jetstream.DeliverByStartSequencePolicy, next, nil
	if err := create(ctx, stream, want); err != nil {
		if errors.Is(err, jetstream.ErrConsumerExists) {
			return nil // another service has created it
		}
		return err
	}
	c.remade.Add(1)
	const message = "missing consumer of an app recreated"
	switch {
	case last == 0:
		c.cfg.Logger.Info(message+": the stream has had no event", "app", want.Durable)
	case !known:
		c.cfg.Logger.Error(message+": earlier unacknowledged events are never delivered", "app", want.Durable, "begins", next, "lost_from", first, "lost_to", last)
	case next < first:
		c.cfg.Logger.Error(message+": unacknowledged events are gone from the stream", "app", want.Durable, "begins", first, "lost_from", next, "lost_to", first-1)
	default:
		c.cfg.Logger.Error(message+" at its last known ack floor: later events may be delivered twice", "app", want.Durable, "begins", next, "last", last)
	}
	return nil
}
