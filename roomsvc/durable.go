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

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Bounds of an app's consumers.
const (
	durableAckWait    = 30 * time.Second // without a word from a worker, the event goes to another
	durableAckPending = 1000             // events handed out and not yet acknowledged
)

// ensureDurables makes or updates the consumers from which the workers of the app get their
// post-events, filtered to the interfaces it implements, and the replays of its dead letters.
func (s *Service) ensureDurables(ctx context.Context, m room.Manifest, isNew bool) error {
	filters := postFilters(m)
	if len(filters) == 0 {
		return s.deleteDurables(ctx, m.ID)
	}
	events := durable(m)
	events.Description = "post-events for the workers of app " + m.ID
	events.FilterSubjects = filters
	begin(&events, m)
	if err := s.ensureDurable(ctx, s.stream, events, isNew); err != nil {
		return err
	}
	replays := durable(m)
	replays.Description = "dead letters that the workers of app " + m.ID + " get again"
	replays.FilterSubjects = []string{subjects.ReplaysOf(m.ID)}
	return s.ensureDurable(ctx, s.replays, replays, isNew)
}

// durable is what the consumers of an app have in common. The last time that the server delivers
// an event, a worker puts its dead letter down, untried: no worker that had it lived to say how it
// ended.
func durable(m room.Manifest) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       subjects.Durable(m.ID),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       durableAckWait,
		MaxAckPending: durableAckPending,
		MaxDeliver:    m.Deliveries(),
	}
}

// begin says where the events of a new app begin.
func begin(c *jetstream.ConsumerConfig, m room.Manifest) {
	switch m.Deliver {
	case room.DeliverAll:
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	case room.DeliverSince:
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, m.DeliverSince
	default:
		c.DeliverPolicy = jetstream.DeliverNewPolicy
	}
}

// ensureDurable makes the consumer or updates it. One that is there goes on where it is. But of
// an app that is new, whose consumer is what a registration that failed has left, one that
// begins elsewhere or cannot be updated is made anew.
func (s *Service) ensureDurable(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig, isNew bool) error {
	there, err := stream.Consumer(ctx, want.Durable)
	if err == nil {
		if is := there.CachedInfo().Config; !isNew || beginsAlike(is, want) {
			if err = s.updateDurable(ctx, stream, is, want); err == nil || !isNew {
				return err
			}
		}
		err = stream.DeleteConsumer(ctx, want.Durable)
	}
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("looking at consumer %s: %w", want.Durable, err)
	}
	if _, err = stream.CreateConsumer(ctx, want); err != nil {
		return fmt.Errorf("making consumer %s: %w", want.Durable, err)
	}
	return nil
}

func beginsAlike(a, b jetstream.ConsumerConfig) bool {
	same := a.OptStartTime == nil && b.OptStartTime == nil
	if a.OptStartTime != nil && b.OptStartTime != nil {
		same = a.OptStartTime.Equal(*b.OptStartTime)
	}
	return same && a.DeliverPolicy == b.DeliverPolicy
}

// updateDurable gives a consumer that is there what is wanted. Its times and its room are its
// operator's. Its bound of deliveries is never
// lowered: what has been delivered more often than a lower one allows would be given up without
// a word. Workers keep to the manifest.
func (s *Service) updateDurable(ctx context.Context, stream jetstream.Stream, is, want jetstream.ConsumerConfig) error {
	want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = is.DeliverPolicy, is.OptStartSeq, is.OptStartTime
	want.AckWait, want.MaxAckPending = is.AckWait, is.MaxAckPending
	want.MaxDeliver = max(want.MaxDeliver, is.MaxDeliver)
	want.Metadata = maps.Clone(is.Metadata)
	if _, err := stream.UpdateConsumer(ctx, want); err != nil {
		return fmt.Errorf("updating consumer %s: %w", want.Durable, err)
	}
	began := beginsLater(is, want)
	if len(began) == 0 {
		return nil
	}
	// What was there before the update may never come, and no event must wait for it.
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
	}
	if want.Metadata == nil {
		want.Metadata = make(map[string]string)
	}
	for _, e := range began {
		want.Metadata[subjects.BehindKey(e)] = strconv.FormatUint(info.State.LastSeq, 10)
	}
	if _, err := stream.UpdateConsumer(ctx, want); err != nil {
		return fmt.Errorf("updating consumer %s: %w", want.Durable, err)
	}
	return nil
}

// beginsLater lists the types of events that a consumer gets from the update on.
func beginsLater(is, want jetstream.ConsumerConfig) []room.EventType {
	had := append(slices.Clone(is.FilterSubjects), is.FilterSubject)
	return slices.DeleteFunc(room.EventTypes(), func(e room.EventType) bool {
		filter := subjects.PostsLike(e)
		return !slices.Contains(want.FilterSubjects, filter) || slices.Contains(had, filter)
	})
}

// deleteDurables deletes the app's consumers, if it has some, with whatever waits in them.
func (s *Service) deleteDurables(ctx context.Context, app string) error {
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
