package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// parkedUntil is when a consumer is to go on that is parked: never, if nothing unparks it. It is
// the mark of those, as no operator pauses a consumer until then.
var parkedUntil = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)

// isParked reports whether the consumer is kept for an app whose manifest has no post-interface. A
// filter that matches no event would not keep its place: the server moves a consumer over what its
// filter passes over as soon as any worker, such as one of an earlier version, pulls.
func isParked(c jetstream.ConsumerConfig) bool {
	return c.PauseUntil != nil && c.PauseUntil.Equal(parkedUntil)
}

// setParked parks the consumer, if there is one, or ends that. It returns when the consumer's
// leader knows.
func setParked(ctx context.Context, stream jetstream.Stream, name string, parked bool) error {
	for {
		there, err := stream.Consumer(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("looking at consumer %s: %w", name, err)
		case isParked(there.CachedInfo().Config) == parked:
			return nil
		case parked:
			_, err = stream.PauseConsumer(ctx, name, parkedUntil)
		default:
			_, err = stream.ResumeConsumer(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("pausing or resuming consumer %s: %w", name, err)
		}
		if !sleep(ctx, staleWait) {
			return ctx.Err()
		}
	}
}
