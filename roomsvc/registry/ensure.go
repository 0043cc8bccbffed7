package registry

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

// ensure creates the consumer or updates it. An existing consumer keeps its position and its
// pending events. If the app is new, an existing consumer is left from a failed registration, or
// the registry was lost. Such a consumer is only recreated if no event is pending in it, so that no
// event is lost.
func (c *consumers) ensure(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig, was *room.Registration) error {
	isNew := was == nil
	there, err := stream.Consumer(ctx, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && !isNew && was.HasPost():
		return c.remake(ctx, stream, want)
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
	_, err = c.update(ctx, stream, is.Config, wider)
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

// update updates an existing consumer. AckWait, MaxAckPending and a pause belong to the
// operator and stay. MaxDeliver is never lowered: the server would silently drop events that were
// already delivered more often. Workers apply the manifest's limit themselves.
func (c *consumers) update(ctx context.Context, stream jetstream.Stream, is, want jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
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
