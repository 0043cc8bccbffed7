package roomsvc

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// fate is how a try of a command ended.
type fate int

const (
	answered  fate = iota // the command has its result or its error
	unchanged             // the leader confirmed that the room is as it was loaded
	moved                 // the room has changed since it was loaded
	unstored              // JetStream did not store the event, or did not say that it has
	behind                // the stream's leader lacks events that this service has seen
	silent                // the stream's leader does not answer
	tooLarge              // the event is larger than a message may be
	gone                  // there is no stream
)

// outcome is the outcome of a try.
type outcome struct {
	fate
	result room.Result // if answered
	err    error       // if answered: the error of the command, nil for none; otherwise why it was not committed
	by     string      // if moved: the service that made the room's last event; empty if unknown
	seq    uint64      // the sequence of the room that was loaded
	// unacknowledged: the event was published, and may still be stored while the room is at seq.
	unacknowledged bool
	refused        bool // JetStream refused the event, but not because of the guard
	// unavailable: JetStream said, or its silence shows, that it cannot store events at the moment. A
	// lost acknowledgement alone does not show that.
	unavailable bool
}

func answer(r room.Result, err error) outcome { return outcome{fate: answered, result: r, err: err} }

// afterPublish adds the error of a publish to the confirmation that followed it.
func (o outcome) afterPublish(err error) outcome {
	var said *jetstream.APIError
	o.unacknowledged = errors.Is(err, bus.ErrUncertain) || errors.Is(err, bus.ErrStored)
	o.refused = errors.Is(err, bus.ErrRefused)
	o.unavailable = o.refused || errors.Is(err, bus.ErrUncertain) && (o.fate == silent || errors.As(err, &said))
	switch {
	case errors.Is(err, bus.ErrTooLarge):
		o.fate, o.err = tooLarge, err
	case errors.Is(err, jetstream.ErrStreamNotFound):
		o.fate = gone
	case o.fate == unchanged:
		o.fate = unstored
	}
	if o.err == nil || o.fate == silent {
		o.err = err
	}
	return o
}

// behindError is the error of a command whose room has events that the stream's leader lacks. A
// leader that has just been replaced may lack them for a moment. Otherwise events were removed, and
// the room cannot be changed until this service is restarted.
func behindError(roomID string, has, seen uint64) error {
	return fmt.Errorf("the stream %s lacks events of room %q: it has sequence %d, this service has seen %d; if they were removed on purpose, "+
		"restart the room service; otherwise restore the stream from a backup", subjects.Events, roomID, has, seen)
}
