package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
)

// tail first looks at the last firstWindow messages. If they do not suffice, it multiplies the
// window by wider.
const (
	firstWindow = 1000
	wider       = 8
)

// tail returns the last n messages of a view that were stored since then, and the sequence at which
// the stream ended. It reads as little of the stream as it can.
func tail(ctx context.Context, js jetstream.JetStream, v view, since time.Time, n int) (end uint64, last []*jetstream.RawStreamMsg, err error) {
	s, err := js.Stream(ctx, v.stream)
	if err != nil {
		return 0, nil, fmt.Errorf("looking at stream %s: %w", v.stream, err)
	}
	state := s.CachedInfo().State
	for window := uint64(max(n, firstWindow)); ; window *= wider {
		from := state.FirstSeq
		if state.LastSeq-min(from, state.LastSeq) >= window {
			from = state.LastSeq - window + 1
		}
		cfg := jetstream.OrderedConsumerConfig{
			FilterSubjects: v.filters, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, from),
		}
		last = nil
		for msg, err := range bus.Read(ctx, js, v.stream, cfg, false) {
			if err != nil {
				return 0, nil, err
			}
			if msg.Sequence > state.LastSeq {
				break
			}
			if msg.Time.Before(since) || !v.accepts(msg) {
				continue
			}
			if last = append(last, msg); len(last) > n {
				last = slices.Delete(last, 0, 1)
			}
		}
		if len(last) >= n || from == state.FirstSeq {
			return state.LastSeq, last, nil
		}
	}
}
