package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Bounds of an app's consumer.
const (
	durableAckWait    = 30 * time.Second // without a word from a worker, the event goes to another
	durableAckPending = 1000             // events handed out and not yet acknowledged
)

// ensureDurable makes or updates the consumer from which the workers of the app get their
// post-events, filtered to the interfaces it implements. It begins with what happens after
// the first registration: of an app that is new, a consumer that is there and cannot be
// updated is made anew.
func (s *Service) ensureDurable(ctx context.Context, m room.Manifest, isNew bool) error {
	filters := postFilters(m)
	name := subjects.Durable(m.ID)
	if len(filters) == 0 {
		return s.deleteDurable(ctx, m.ID)
	}
	cfg := jetstream.ConsumerConfig{
		Durable:        name,
		Description:    "post-events for the workers of app " + m.ID,
		FilterSubjects: filters,
		DeliverPolicy:  jetstream.DeliverNewPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        durableAckWait,
		MaxAckPending:  durableAckPending,
		MaxDeliver:     -1,
	}
	_, err := s.stream.CreateOrUpdateConsumer(ctx, cfg)
	if err != nil && isNew && ctx.Err() == nil {
		_ = s.stream.DeleteConsumer(ctx, name) // if it fails, so will what follows
		_, err = s.stream.CreateOrUpdateConsumer(ctx, cfg)
	}
	if err != nil {
		return fmt.Errorf("making consumer %s: %w", name, err)
	}
	return nil
}

// deleteDurable deletes the app's consumer, if it has one, with whatever waits in it.
func (s *Service) deleteDurable(ctx context.Context, app string) error {
	name := subjects.Durable(app)
	err := s.stream.DeleteConsumer(ctx, name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("deleting consumer %s: %w", name, err)
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
