package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// parkedUntil is the end of the pause of a parked consumer: in effect never. It marks parked
// consumers, since no operator pauses a consumer until then.
var parkedUntil = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)

// parkingLook is the interval between looks at a consumer whose leader has not applied its pause yet.
const parkingLook = 10 * time.Millisecond

// IsParked reports whether the consumer is parked: it delivers nothing and keeps its position. A
// filter that matches no message would not keep it: the server advances a consumer over messages
// that do not match as soon as a client pulls.
func IsParked(c jetstream.ConsumerConfig) bool {
	return c.PauseUntil != nil && c.PauseUntil.Equal(parkedUntil)
}

// SetParked parks or resumes the consumer, if it exists. It returns when the consumer's leader has
// applied that.
func SetParked(ctx context.Context, stream jetstream.Stream, name string, parked bool) error {
	for {
		there, err := stream.Consumer(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("looking at consumer %s: %w", name, err)
		case IsParked(there.CachedInfo().Config) == parked:
			return nil
		case parked:
			_, err = stream.PauseConsumer(ctx, name, parkedUntil)
		default:
			_, err = stream.ResumeConsumer(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("pausing or resuming consumer %s: %w", name, err)
		}
		if !Sleep(ctx, parkingLook) {
			return ctx.Err()
		}
	}
}
