package projection

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// Project reads the stream of events, without a snapshot, up to the sequence. It calls progress
// with the sequence of each message. It returns the figures of a service that has read as far, if
// that counts the same deleted rooms.
func Project(ctx context.Context, js jetstream.JetStream, last uint64, progress func(seq uint64)) (Stats, error) {
	p := newProjection(time.Time{})
	for msg, err := range bus.Read(ctx, js, subjects.Events, jetstream.OrderedConsumerConfig{}, false) {
		if err != nil {
			return Stats{}, err
		}
		if msg.Sequence > last {
			break
		}
		e, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
		if err != nil {
			p.quarantine(e, msg.Time)
		} else {
			_ = p.consume(e, msg.Time) // an event that does not chain is counted as quarantined
		}
		progress(msg.Sequence)
	}
	return p.Stats(), nil
}
