package health

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// probeInterval is the interval between requests to a leader that does not answer.
const probeInterval = time.Second

// outages records whether JetStream answers and the stream of events can be read, and logs when
// that changes.
type outages struct {
	cfg        Config
	gone       atomic.Bool   // the stream does not exist
	unreadable atomic.Bool   // the stream cannot be read
	silent     chan struct{} // the leader did not answer
	outage     bus.Outage    // of JetStream or of the stream
	readOutage bus.Outage    // of reading the stream while JetStream answers
}

// StreamGone returns the error of a command while the stream of events does not exist.
func StreamGone() *room.Error {
	return room.Errorf(room.CodeUnavailable,
		"the stream %s is gone: restore it from a backup, or start a room service with --new-events to begin with no rooms", subjects.Events)
}

// StreamError returns the error StreamGone if the stream was found not to exist. The command is
// then refused before its apps are asked, since they would use up its time.
func (o *outages) StreamError() error {
	if o.gone.Load() {
		return StreamGone()
	}
	return nil
}

// IsUnavailable reports whether NATS or JetStream is unavailable. That is logged, so errors that
// follow from it are not.
func (o *outages) IsUnavailable() bool { return !o.cfg.Conn.IsConnected() || o.outage.Lasts() }

// StreamFound records that the stream exists.
func (o *outages) StreamFound() { o.gone.Store(false) }

// ReadStarted records that reading the stream has begun.
func (o *outages) ReadStarted() {
	o.unreadable.Store(false)
	o.readOutage.Ended(time.Now())
	o.logRecovery()
}

// ReadFailed records that reading the stream has failed. reading is false if it could not begin.
func (o *outages) ReadFailed(reading bool, err error) {
	now := time.Now()
	o.unreadable.Store(!reading)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		first := !o.gone.Swap(true)
		if o.outage.Failed(now) || first {
			o.cfg.Logger.Error("stream is gone: commands are unavailable until it is back", "stream", subjects.Events)
		}
	case !o.cfg.Conn.IsConnected():
		// The lost connection is logged elsewhere.
	case reading: // the next try follows at once and shows whether JetStream answers
		if o.readOutage.Failed(now) {
			o.cfg.Logger.Info("reading the stream failed; retrying", "after", o.cfg.Rooms().Last(), "error", err)
		}
	default:
		o.logOutage(now, err)
	}
}

// LeaderSilent records that the leader of the stream did not answer a command. A node that is cut
// off from the others can still serve reads of the stream. So Run asks the leader until it answers.
func (o *outages) LeaderSilent(err error) {
	if !o.cfg.Conn.IsConnected() {
		return // the lost connection is logged
	}
	o.logOutage(time.Now(), err)
	select {
	case o.silent <- struct{}{}:
	default: // Run will ask
	}
}

// probe asks a leader that was silent until it answers. It ends with the context.
func (o *outages) probe(ctx context.Context) {
	for {
		select {
		case <-o.silent:
			o.awaitLeader(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// awaitLeader returns when the leader answers, or when the stream cannot be read: then the next read
// that begins shows that JetStream answers.
func (o *outages) awaitLeader(ctx context.Context) {
	for bus.Sleep(ctx, probeInterval) && !o.unreadable.Load() {
		asking, cancel := context.WithTimeout(ctx, o.cfg.AckWait)
		_, err := bus.LeaderLast(asking, o.cfg.Conn, subjects.Events, subjects.AllEvents)
		cancel()
		if err == nil {
			o.logRecovery()
			return
		}
		o.logOutage(time.Now(), err)
	}
}

func (o *outages) logOutage(now time.Time, err error) {
	if o.outage.Failed(now) {
		o.cfg.Logger.Warn("JetStream does not answer: commands are unavailable", "error", err)
	}
}

func (o *outages) logRecovery() {
	if lasted, log := o.outage.Ended(time.Now()); log {
		o.cfg.Logger.Info("JetStream answers, and the stream is read again", "after", o.cfg.Rooms().Last(), "outage", lasted.Round(time.Millisecond))
	}
}
