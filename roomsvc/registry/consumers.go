package registry

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// consumers are the durable consumers of apps: one for post-events and one for replayed dead
// letters for each app.
type consumers struct {
	cfg     Config
	entries *entries
	floors  ackFloors
	remade  atomic.Uint64 // missing consumers that were recreated
}

// prepare creates or updates the app's consumers before the manifest takes effect. It adds filters
// for the interfaces of the manifest and removes none: if the registration cannot be stored, the
// current manifest stays in force. was is the current registration, nil if the app is new.
func (c *consumers) prepare(ctx context.Context, m room.Manifest, was *room.Registration) error {
	if was == nil {
		c.floors.forget(m.ID)
	}
	if !m.HasPost() {
		return nil
	}
	if err := c.ensure(ctx, c.cfg.Events, eventsDurable(m), was); err != nil {
		return err
	}
	return c.ensure(ctx, c.cfg.Replays, replaysDurable(m), was)
}

// settle brings the app's consumers in line with its manifest, once the manifest is stored with the
// revision. It creates and deletes none. Consumers of a manifest without post-interfaces are parked,
// so that they keep their position.
func (c *consumers) settle(ctx context.Context, m room.Manifest, revision uint64) error {
	for {
		if err := c.trim(ctx, m); err != nil {
			return err
		}
		last, err := bus.LeaderLast(ctx, c.cfg.JetStream.Conn(), subjects.AppsStream, subjects.AppKey(m.ID))
		if err != nil || last.Seq <= revision {
			return err
		}
		// Another replica has stored a later registration and may have updated the consumers before.
		if err := c.entries.awaitRevision(ctx, last.Seq); err != nil {
			return fmt.Errorf("waiting for revision %d of the apps: %w", last.Seq, err)
		}
		stored := c.entries.get(m.ID).registration
		if stored == nil {
			return nil // the app was removed, and its consumers are deleted
		}
		m, revision = stored.Manifest, last.Seq
	}
}

func (c *consumers) trim(ctx context.Context, m room.Manifest) error {
	if m.HasPost() {
		if err := c.trimEvents(ctx, m); err != nil {
			return err
		}
	}
	for _, stream := range []jetstream.Stream{c.cfg.Events, c.cfg.Replays} {
		if err := bus.SetParked(ctx, stream, subjects.Durable(m.ID), !m.HasPost()); err != nil {
			return err
		}
	}
	return nil
}

// trimEvents removes the filters that the manifest does not implement from the consumer of
// post-events.
func (c *consumers) trimEvents(ctx context.Context, m room.Manifest) error {
	want := eventsDurable(m)
	there, err := c.cfg.Events.Consumer(ctx, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at consumer %s: %w", want.Durable, err)
	}
	is := there.CachedInfo()
	if len(want.FilterSubjects) == len(filtersOf(is.Config)) && len(beginsLater(is.Config, want)) == 0 {
		return nil
	}
	updated, err := c.update(ctx, c.cfg.Events, is.Config, want)
	if err == nil && updated.NumPending < is.NumPending {
		c.cfg.Logger.Warn("post-events skipped: the registered version does not implement their interfaces",
			"app", m.ID, "version", m.Version, "events", is.NumPending-updated.NumPending)
	}
	return err
}

// delete deletes the app's consumers, if there are any, with their pending events.
func (c *consumers) delete(ctx context.Context, app string) error {
	c.floors.forget(app)
	name := subjects.Durable(app)
	for _, stream := range []jetstream.Stream{c.cfg.Events, c.cfg.Replays} {
		err := stream.DeleteConsumer(ctx, name)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("deleting consumer %s: %w", name, err)
		}
	}
	if err := c.cfg.Replays.Purge(ctx, jetstream.WithPurgeSubject(subjects.ReplaysOf(app))); err != nil {
		return fmt.Errorf("removing the replays of app %s: %w", app, err)
	}
	return nil
}
