package consumer

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/appworker/internal/ordering"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// delivery is an event that was delivered to this worker.
type delivery struct {
	msg      jetstream.Msg
	of       subjects.Delivered // the message as stored in the stream of events
	kind     room.EventType
	room     string
	event    room.EventRef
	before   room.Latest // the room's previous events
	invalid  error       // the reason if the message is not a valid event
	received time.Time
	ordering.Position
	lease
}

func newDelivery(msg jetstream.Msg, replay bool) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	d := &delivery{
		msg: msg, received: time.Now(),
		of:       subjects.Delivered{Subject: msg.Subject(), Headers: msg.Headers(), Data: msg.Data(), Seq: meta.Sequence.Stream},
		Position: ordering.Position{Seq: meta.Sequence.Stream, Attempt: meta.NumDelivered},
	}
	if replay {
		d.of, d.invalid = subjects.Origin(msg.Headers(), msg.Data())
	}
	if d.invalid == nil {
		var e room.Event
		e, d.invalid = subjects.DecodePostHeaders(d.of.Subject, d.of.Headers, d.of.Seq)
		d.kind, d.room, d.event, d.before = e.Type, e.Room, e.Ref(), e.Previous
	}
	if d.Attempt == 1 {
		d.ConsumerSeq = meta.Sequence.Consumer
	}
	return d, nil
}

// tries returns how often the handler may have run, this delivery included.
func (d *delivery) tries() uint64 { return d.Attempt - d.Untried }

// ownLine puts the event into a separate line.
func (d *delivery) ownLine() {
	d.Line = "." + strconv.FormatUint(d.Seq, 10) // a room id has no dot
}

// roomLine puts the event into its room's line, behind the room's latest earlier event that the app's
// consumer delivers. The consumer's filters count, not this worker's handlers: during a rolling update
// workers of two versions share the consumer.
func (d *delivery) roomLine(from filterStart) {
	d.Line = d.room
	for e, start := range from {
		if last := d.before.Of(e); last > start {
			d.Previous = max(d.Previous, last)
		}
	}
}
