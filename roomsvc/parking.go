package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
)

// parkedUntil is the end of the pause of a parked consumer: in effect never. It marks parked
// consumers, since no operator pauses a consumer until then.
var parkedUntil = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)

// isParked reports whether the consumer is kept for an app whose manifest has no post-interface. A
// filter that matches no event would not keep its position: the server advances a consumer over
// events that do not match as soon as a worker pulls, such as a worker of an earlier version.
func isParked(c jetstream.ConsumerConfig) bool {
	return c.PauseUntil != nil && c.PauseUntil.Equal(parkedUntil)
}

// setParked parks or resumes the consumer, if it exists. It returns when the consumer's leader has
// applied that.
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
		if !bus.Sleep(ctx, staleWait) {
			return ctx.Err()
		}
	}
}
