package projection

import (
	"context"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
)

// CatchUp returns when the projection has every readable message that the stream has now. It asks
// for the last sequence rather than for the last message, since the message may be damaged.
func (p *Projection) CatchUp(ctx context.Context) error {
	info, err := p.info(ctx)
	if err != nil {
		return fmt.Errorf("asking where the stream ends: %w", err)
	}
	for {
		err := p.awaitSeqWithin(ctx, info.State.LastSeq, p.cfg.AckWait)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if p.AtEnd(ctx) {
			p.skipTo(info.State.LastSeq)
		}
	}
}

// info returns the stream info. It retries while there is no answer: a stream without a leader does
// not answer, and the request is not answered later.
func (p *Projection) info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	return backoff.Retry(ctx, func() (*jetstream.StreamInfo, error) {
		try, cancel := context.WithTimeout(ctx, p.cfg.AckWait)
		defer cancel()
		info, err := p.cfg.Stream.Info(try, opts...)
		if err != nil && !bus.NotReady(err) {
			err = backoff.Permanent(err)
		}
		return info, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(0))
}
