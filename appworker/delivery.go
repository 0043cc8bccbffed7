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

// errLeaseLost is why it does not count what a handler says when the event may be another worker's by now.
var errLeaseLost = errors.New("JetStream has not been heard of for so long that the event may be another worker's by now")

// delivery is an event in this worker's hands.
type delivery struct {
	msg     jetstream.Msg
	of      subjects.Delivered // the message as it stands in the stream of events
	kind    room.EventType
	room    string
	event   room.EventRef
	before  room.Latest // of the room's events
	invalid error       // why the message is no event
	attempt uint64      // which delivery of it this is
	came    time.Time
	idle    uint64 // so many of them, for certain, before anybody could have begun it

	line     string // in which it waits
	seq      uint64 // in its stream
	previous uint64 // the event that must be done before; 0 if none
	number   uint64 // of the delivery among all of the consumer; 0 if it is not the event's first

	stuck time.Time // since when it has been the first of its line, and nothing heard of the one before
	blind bool      // it has begun without a word of that

	mu    sync.Mutex
	until time.Time          // so long the event is this worker's
	kept  bool               // it has been long enough in hand for somebody to see to that
	lose  context.CancelFunc // ends the handler's context; nil before it begins
	timer *time.Timer        // does so when the event ceases to be this worker's
	due   time.Time          // when the handler must have ended; zero before it begins
}

func newDelivery(msg jetstream.Msg, replay bool) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	d := &delivery{
		msg: msg, seq: meta.Sequence.Stream, attempt: meta.NumDelivered, came: time.Now(),
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
		d.number = meta.Sequence.Consumer
	}
	return d, nil
}

// tries is how often the event may have been tried, this time included.
func (d *delivery) tries() uint64 { return d.attempt - d.idle }

// alone puts the event into a line of its own.
func (d *delivery) alone() {
	d.line = "." + strconv.FormatUint(d.seq, 10) // no room's id has a dot
}

// follow puts the event into its room's line, behind the latest one before it that the app has
// got. What counts is what the app's consumer has, not what this worker handles: workers of two
// versions share it while one takes the other's place.
func (d *delivery) follow(since beginnings) {
	d.line = d.room
	for e, begins := range since {
		if last := d.before.Of(e); last > begins {
			d.previous = max(d.previous, last)
		}
	}
}

// extend takes note that the event is this worker's until then, unless it has ceased to be.
func (d *delivery) extend(until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.until.IsZero() && time.Now().After(d.until) {
		return
	}
	d.until = until
	if d.timer != nil {
		d.timer.Reset(time.Until(until))
	}
}

// keep has the handler's context end when the event ceases to be this worker's. Until it is called, it
// is certain that it does not: for most handlers, which are fast, no timer is needed.
func (d *delivery) keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = true
	d.arm()
}

func (d *delivery) arm() {
	if d.kept && d.lose != nil && d.timer == nil {
		d.timer = time.AfterFunc(time.Until(d.until), d.lose)
	}
}

// expired reports whether the event may be another worker's by now.
func (d *delivery) expired() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().After(d.until)
}

// overdue reports whether the handler has had its time.
func (d *delivery) overdue() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.due.IsZero() && time.Now().After(d.due)
}

// handling is a context for the handler, which ends when the event ceases to be this worker's.
func (d *delivery) handling(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due = time.Now().Add(timeout)
	ctx, d.lose = context.WithDeadline(ctx, d.due)
	d.arm()
	return ctx, d.ended
}

// ended releases what handling took.
func (d *delivery) ended() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose()
	if d.timer != nil {
		d.timer.Stop()
	}
}
