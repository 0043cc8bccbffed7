package appworker

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// errLeaseLost is returned by tell if the handler fails after the lease has expired. The result is discarded,
// because another worker may own the event.
var errLeaseLost = errors.New("the lease on the event expired: another worker may own the event")

// delivery is an event that was delivered to this worker.
type delivery struct {
	msg      jetstream.Msg
	of       subjects.Delivered // the message as stored in the stream of events
	kind     room.EventType
	room     string
	event    room.EventRef
	before   room.Latest // the room's previous events
	invalid  error       // the reason if the message is not a valid event
	attempt  uint64      // number of deliveries, this one included
	received time.Time
	untried  uint64 // number of earlier deliveries in which the handler cannot have run

	line        string // the line in which it waits
	seq         uint64 // sequence in its stream
	previous    uint64 // sequence of the event that must be done first; 0 if none
	consumerSeq uint64 // sequence of the delivery in the consumer; 0 on a redelivery

	blockedSince time.Time // first of its line since then, without a report about the previous event
	unordered    bool      // it began without knowing that the previous event is done

	mu       sync.Mutex
	leaseEnd time.Time
	enforced bool               // enforceLease has been called
	cancel   context.CancelFunc // ends the handler's context; nil before the handler begins
	timer    *time.Timer        // calls cancel at leaseEnd
	due      time.Time          // the handler's deadline; zero before it begins
}

func newDelivery(msg jetstream.Msg, replay bool) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	d := &delivery{
		msg: msg, seq: meta.Sequence.Stream, attempt: meta.NumDelivered, received: time.Now(),
		of: subjects.Delivered{Subject: msg.Subject(), Headers: msg.Headers(), Data: msg.Data(), Seq: meta.Sequence.Stream},
	}
	if replay {
		d.of, d.invalid = subjects.Origin(msg.Headers(), msg.Data())
	}
	if d.invalid == nil {
		var e room.Event
		e, d.invalid = subjects.DecodePostHeaders(d.of.Subject, d.of.Headers, d.of.Seq)
		d.kind, d.room, d.event, d.before = e.Type, e.Room, e.Ref(), e.Previous
	}
	if d.attempt == 1 {
		d.consumerSeq = meta.Sequence.Consumer
	}
	return d, nil
}

// tries returns how often the handler may have run, this delivery included.
func (d *delivery) tries() uint64 { return d.attempt - d.untried }

// ownLine puts the event into a separate line.
func (d *delivery) ownLine() {
	d.line = "." + strconv.FormatUint(d.seq, 10) // a room id has no dot
}

// roomLine puts the event into its room's line, behind the room's latest earlier event that the app's
// consumer delivers. The consumer's filters count, not this worker's handlers: during a rolling update
// workers of two versions share the consumer.
func (d *delivery) roomLine(from filterStart) {
	d.line = d.room
	for e, start := range from {
		if last := d.before.Of(e); last > start {
			d.previous = max(d.previous, last)
		}
	}
}

// extendLease moves the end of the lease, unless the lease has expired.
func (d *delivery) extendLease(until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.leaseEnd.IsZero() && time.Now().After(d.leaseEnd) {
		return
	}
	d.leaseEnd = until
	if d.timer != nil {
		d.timer.Reset(time.Until(until))
	}
}

// enforceLease makes the handler's context end with the lease. It is called by the first renewal; the lease
// cannot expire before that. Most handlers are faster and need no timer.
func (d *delivery) enforceLease() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enforced = true
	d.startTimer()
}

func (d *delivery) startTimer() {
	if d.enforced && d.cancel != nil && d.timer == nil {
		d.timer = time.AfterFunc(time.Until(d.leaseEnd), d.cancel)
	}
}

// expired reports whether the lease has expired, so that another worker may own the event.
func (d *delivery) expired() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().After(d.leaseEnd)
}

// overdue reports whether the handler's deadline has passed.
func (d *delivery) overdue() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.due.IsZero() && time.Now().After(d.due)
}

// handlerContext returns a context for the handler. It ends after timeout or with the lease.
func (d *delivery) handlerContext(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due = time.Now().Add(timeout)
	ctx, d.cancel = context.WithDeadline(ctx, d.due)
	d.startTimer()
	return ctx, d.releaseContext
}

// releaseContext releases the resources of handlerContext.
func (d *delivery) releaseContext() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel()
	if d.timer != nil {
		d.timer.Stop()
	}
}
