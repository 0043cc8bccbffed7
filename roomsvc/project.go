package roomsvc

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// Projected is what the events up to a sequence make. A service that has read as far has the same figures in
// its [EndpointData], if it counts the same deleted rooms.
type Projected struct {
	Rooms       int    // live ones
	Deleted     int    // ones whose history is still there
	Quarantined uint64 // messages not applied
	Hash        string // the projection hash
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
			_ = p.consume(e, msg.Time) // an event that does not follow is counted as quarantined
		}
		progress(msg.Sequence)
	}
	n := p.counts()
	return Projected{Rooms: n.rooms, Deleted: n.deleted, Quarantined: n.quarantined, Hash: n.hash, LastSeq: n.seq}, nil
}
