package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// stall is how long to wait for a pending message. Then the consumer is created again, because the
// message may have been removed from the stream.
const stall = time.Second

// inactiveThreshold is when the server removes the consumer of a reader that stopped without deleting
// it. Until then the consumer counts as a lagging one.
const inactiveThreshold = 30 * time.Second

// Read yields the messages of a stream in order. It starts where cfg says. It ends at the stream's
// end, or with follow it continues with new messages. It survives a reconnect. An error ends it:
// jetstream.ErrStreamNotFound, or the error of the context as soon as the context ends.
func Read(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig, follow bool) iter.Seq2[*jetstream.RawStreamMsg, error] {
	return func(yield func(*jetstream.RawStreamMsg, error) bool) {
		r := reading{follow: follow, yield: yield}
		cfg.InactiveThreshold = inactiveThreshold
		for !r.ended {
			if err := r.consume(ctx, js, stream, cfg); err != nil {
				yield(nil, fmt.Errorf("reading stream %s: %w", stream, err))
				return
			}
			if r.last > 0 {
				cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, r.last+1, nil
			}
		}
	}
}

type reading struct {
	follow bool
	yield  func(*jetstream.RawStreamMsg, error) bool
	last   uint64 // sequence
	ended  bool
}

// consume reads until the end, or until a pending message does not arrive in time.
func (r *reading) consume(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig) error {
	consumer, err := js.OrderedConsumer(ctx, stream, cfg)
	if err != nil {
		return err
	}
	defer deleteConsumer(ctx, js, stream, consumer)
	if consumer.CachedInfo().NumPending == 0 && !r.follow {
		r.ended = true
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for !r.ended {
		msg, err := r.next(ctx, messages)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil // if the caller's context ended, the next call fails
		}
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		r.last = meta.Sequence.Stream
		more := r.yield(&jetstream.RawStreamMsg{
			Subject: msg.Subject(), Sequence: r.last, Header: msg.Headers(), Data: msg.Data(), Time: meta.Timestamp,
		}, nil)
		r.ended = !more || meta.NumPending == 0 && !r.follow
	}
	return nil
}

// deleteConsumer deletes the consumer, which the server would otherwise keep until inactiveThreshold.
// The context may have ended.
func deleteConsumer(ctx context.Context, js jetstream.JetStream, stream string, consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stall)
	defer cancel()
	_ = js.DeleteConsumer(ctx, stream, consumer.CachedInfo().Name) // if it fails, the server deletes it later
}

func (r *reading) next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	if !r.follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, stall)
		defer cancel()
	}
	return messages.Next(jetstream.NextContext(ctx))
}
