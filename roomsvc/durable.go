package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Bounds of an app's consumers.
const (
	durableAckWait    = 30 * time.Second // then an event without ack or progress is redelivered
	durableAckPending = 1000             // events delivered and not yet acknowledged
)

// prepareDurables creates or updates the app's consumers before the manifest takes effect. It adds
// filters for the interfaces of the manifest and removes none: if the registration cannot be
// stored, the current manifest stays in force. was is the current registration, nil if the app is
// new.
func (s *Service) prepareDurables(ctx context.Context, m room.Manifest, was *room.Registration) error {
	if was == nil {
		s.depends.forget(m.ID)
	}
	if !m.HasPost() {
		return nil
	}
	if err := s.ensureDurable(ctx, s.stream, eventsDurable(m), was); err != nil {
		return err
	}
	return s.ensureDurable(ctx, s.replays, replaysDurable(m), was)
}

// settleDurables brings the app's consumers in line with its manifest, once the manifest is stored
// with the revision. It creates and deletes none. Consumers of a manifest without post-interfaces
// are parked, so that they keep their position.
func (s *Service) settleDurables(ctx context.Context, m room.Manifest, revision uint64) error {
	for {
		if err := s.trimDurables(ctx, m); err != nil {
			return err
		}
		last, err := bus.LeaderLast(ctx, s.nc, subjects.AppsStream, subjects.AppKey(m.ID))
		if err != nil || last.Seq <= revision {
			return err
		}
		// Another replica has stored a later registration and may have updated the consumers before.
		if err := s.apps.awaitRevision(ctx, last.Seq); err != nil {
			return fmt.Errorf("waiting for revision %d of the apps: %w", last.Seq, err)
		}
		stored, ok := s.apps.get(m.ID)
		if !ok {
			return nil // the app was removed, and its consumers are deleted
		}
		m, revision = stored.Manifest, last.Seq
	}
}

func (s *Service) trimDurables(ctx context.Context, m room.Manifest) error {
	if m.HasPost() {
		if err := s.trimEvents(ctx, m); err != nil {
			return err
		}
	}
	for _, stream := range []jetstream.Stream{s.stream, s.replays} {
		if err := bus.SetParked(ctx, stream, subjects.Durable(m.ID), !m.HasPost()); err != nil {
			return err
		}
	}
	return nil
}

// trimEvents removes the filters that the manifest does not implement from the consumer of
// post-events.
func (s *Service) trimEvents(ctx context.Context, m room.Manifest) error {
	want := eventsDurable(m)
	there, err := s.stream.Consumer(ctx, want.Durable)
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
	updated, err := s.updateDurable(ctx, s.stream, is.Config, want)
	if err == nil && updated.NumPending < is.NumPending {
		s.log.Warn("post-events skipped: the registered version does not implement their interfaces",
			"app", m.ID, "version", m.Version, "events", is.NumPending-updated.NumPending)
	}
	return err
}

// eventsDurable is the configuration of the consumer that delivers post-events to the app's
// workers. Its filters are those of the implemented interfaces.
func eventsDurable(m room.Manifest) jetstream.ConsumerConfig {
	c := durable(m)
	c.Description = eventsDescription(m.ID)
	c.FilterSubjects = postFilters(m)
	switch m.Deliver {
	case room.DeliverAll:
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	case room.DeliverSince:
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, m.DeliverSince
	default:
		c.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	return c
}

func eventsDescription(app string) string { return "post-events for the workers of app " + app }

// replaysDurable is the configuration of the consumer that delivers replayed dead letters to the
// app's workers.
func replaysDurable(m room.Manifest) jetstream.ConsumerConfig {
	c := durable(m)
	c.Description = "dead letters that the workers of app " + m.ID + " get again"
	c.FilterSubjects = []string{subjects.ReplaysOf(m.ID)}
	return c
}

// durable is the common configuration of an app's consumers. On its last delivery a worker writes
// an event as a dead letter without handling it: the workers that got the earlier deliveries died
// before they could report.
func durable(m room.Manifest) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       subjects.Durable(m.ID),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       durableAckWait,
		MaxAckPending: durableAckPending,
		MaxDeliver:    m.Deliveries(),
	}
}

// ensureDurable creates the consumer or updates it. An existing consumer keeps its position and its
// pending events. If the app is new, an existing consumer is left from a failed registration, or
// the registry was lost. Such a consumer is only recreated if no event is pending in it, so that no
// event is lost.
func (s *Service) ensureDurable(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig, was *room.Registration) error {
	isNew := was == nil
	there, err := stream.Consumer(ctx, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && !isNew && was.HasPost():
		return s.remake(ctx, stream, want)
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return create(ctx, stream, want)
	case err != nil:
		return fmt.Errorf("looking at consumer %s: %w", want.Durable, err)
	}
	is := there.CachedInfo()
	if isNew && is.Delivered.Consumer == 0 && !beginsAlike(is.Config, want) {
		if is.NumPending > 0 && begins(want, time.Now()).After(begins(is.Config, is.Created)) {
			return room.Errorf(room.CodeInvalidRequest,
				"consumer %s of stream %s is left from an earlier registration, with %d events from before those that this one begins with: register with deliver %q, or delete the consumer first",
				want.Durable, is.Stream, is.NumPending, room.DeliverAll)
		}
		return recreate(ctx, stream, want)
	}
	wider := want
	wider.FilterSubjects = slices.Clone(want.FilterSubjects)
	for _, e := range room.EventTypes() {
		if f := subjects.PostsLike(e); slices.Contains(filtersOf(is.Config), f) && !slices.Contains(want.FilterSubjects, f) {
			wider.FilterSubjects = append(wider.FilterSubjects, f)
		}
	}
	_, err = s.updateDurable(ctx, stream, is.Config, wider)
	if err != nil && isNew && is.Delivered.Consumer == 0 && is.NumPending == 0 {
		return recreate(ctx, stream, want)
	}
	return err
}

func create(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig) error {
	if _, err := stream.CreateConsumer(ctx, want); err != nil {
		return fmt.Errorf("creating consumer %s: %w", want.Durable, err)
	}
	return nil
}

func recreate(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig) error {
	if err := stream.DeleteConsumer(ctx, want.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("deleting consumer %s: %w", want.Durable, err)
	}
	return create(ctx, stream, want)
}

func beginsAlike(a, b jetstream.ConsumerConfig) bool {
	same := a.OptStartTime == nil && b.OptStartTime == nil
	if a.OptStartTime != nil && b.OptStartTime != nil {
		same = a.OptStartTime.Equal(*b.OptStartTime)
	}
	return same && a.DeliverPolicy == b.DeliverPolicy
}

// begins returns the time of the first event that a consumer created at that time gets.
func begins(c jetstream.ConsumerConfig, made time.Time) time.Time {
	switch {
	case c.DeliverPolicy == jetstream.DeliverAllPolicy:
		return time.Time{}
	case c.OptStartTime != nil:
		return *c.OptStartTime
	}
	return made
}

// updateDurable updates an existing consumer. AckWait, MaxAckPending and a pause belong to the
// operator and stay. MaxDeliver is never lowered: the server would silently drop events that were
// already delivered more often. Workers apply the manifest's limit themselves.
func (s *Service) updateDurable(ctx context.Context, stream jetstream.Stream, is, want jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = is.DeliverPolicy, is.OptStartSeq, is.OptStartTime
	want.AckWait, want.MaxAckPending = is.AckWait, is.MaxAckPending
	want.MaxDeliver = max(want.MaxDeliver, is.MaxDeliver)
	want.Metadata = maps.Clone(is.Metadata)
	updated, err := stream.UpdateConsumer(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("updating consumer %s: %w", want.Durable, err)
	}
	if began := beginsLater(is, want); len(began) > 0 {
		// Events from before the update may never be delivered, and no event must wait for them.
		info, err := stream.Info(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
		}
		if want.Metadata == nil {
			want.Metadata = make(map[string]string)
		}
		for _, e := range began {
			want.Metadata[subjects.BehindKey(e)] = strconv.FormatUint(info.State.LastSeq, 10)
		}
		if updated, err = stream.UpdateConsumer(ctx, want); err != nil {
			return nil, fmt.Errorf("updating consumer %s: %w", want.Durable, err)
		}
	}
	return updated.CachedInfo(), nil
}

// beginsLater lists the types of events that the update adds to a consumer.
func beginsLater(is, want jetstream.ConsumerConfig) []room.EventType {
	had := filtersOf(is)
	return slices.DeleteFunc(room.EventTypes(), func(e room.EventType) bool {
		filter := subjects.PostsLike(e)
		return !slices.Contains(want.FilterSubjects, filter) || slices.Contains(had, filter)
	})
}

func filtersOf(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

// deleteDurables deletes the app's consumers, if there are any, with their pending events.
func (s *Service) deleteDurables(ctx context.Context, app string) error {
	s.depends.forget(app)
	name := subjects.Durable(app)
	for _, stream := range []jetstream.Stream{s.stream, s.replays} {
		err := stream.DeleteConsumer(ctx, name)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("deleting consumer %s: %w", name, err)
		}
	}
	if err := s.replays.Purge(ctx, jetstream.WithPurgeSubject(subjects.ReplaysOf(app))); err != nil {
		return fmt.Errorf("removing the replays of app %s: %w", app, err)
	}
	return nil
}

func postFilters(m room.Manifest) []string {
	var filters []string
	for _, i := range m.Implements {
		if !i.Pre() {
			filters = append(filters, subjects.PostsLike(i.Event()))
		}
	}
	return filters
}
