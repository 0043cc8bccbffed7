package roomsvc

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// Projected describes the projection of the events up to a sequence. A service that has read as far
// has the same figures in its [EndpointData], if it counts the same deleted rooms.
type Projected struct {
	Rooms       int    // live rooms
	Deleted     int    // deleted rooms with history in the stream
	Quarantined uint64 // messages not applied
	Hash        string // of the projection
	LastSeq     uint64 // of the last message read
}

// Project reads the stream of events, without a snapshot, up to the sequence. It calls progress with the
// sequence of each message.
func Project(ctx context.Context, js jetstream.JetStream, last uint64, progress func(seq uint64)) (Projected, error) {
	p := newProjection(time.Time{})
	for msg, err := range bus.Read(ctx, js, subjects.Events, jetstream.OrderedConsumerConfig{}, false) {
		if err != nil {
			return Projected{}, err
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
	n := p.counts()
	return Projected{Rooms: n.rooms, Deleted: n.deleted, Quarantined: n.quarantined, Hash: n.hash, LastSeq: n.seq}, nil
}
