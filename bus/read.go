package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// quiet is how long a message that is due may stay away before the stream is asked anew what
// there is: it may have been removed meanwhile.
const quiet = time.Second

// forgotten is when the server drops the consumer of a reading that has ended without a word: until
// then it counts as one that has yet to read the rest.
const forgotten = 30 * time.Second

// Read yields the messages of a stream in order, from where the configuration says to its end,
// or with follow on and on, also over a connection that is lost and comes back. An error ends
// it: jetstream.ErrStreamNotFound, or that of the context, at once when it ends.
func Read(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig, follow bool) iter.Seq2[*jetstream.RawStreamMsg, error] {
	return func(yield func(*jetstream.RawStreamMsg, error) bool) {
		r := reading{follow: follow, yield: yield}
		cfg.InactiveThreshold = forgotten
		for !r.ended {
			if err := r.on(ctx, js, stream, cfg); err != nil {
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

// on reads until the end, or until what is due stays away.
func (r *reading) on(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig) error {
	consumer, err := js.OrderedConsumer(ctx, stream, cfg)
	if err != nil {
		return err
	}
	defer forget(ctx, js, stream, consumer)
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
			return nil // looking anew fails if it was the caller's
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

// forget removes the consumer, which the server would keep, and count, for a while; the context
// may have ended.
func forget(ctx context.Context, js jetstream.JetStream, stream string, consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quiet)
	defer cancel()
	_ = js.DeleteConsumer(ctx, stream, consumer.CachedInfo().Name) // if it fails, the server does it
}

func (r *reading) next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	if !r.follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, quiet)
		defer cancel()
	}
	return messages.Next(jetstream.NextContext(ctx))
}
