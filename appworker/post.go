package appworker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// The waits before a worker binds its consumer again: after a failure, and while the app is removed.
const (
	rebindWait  = time.Second
	removedWait = 5 * time.Second
)

// receive handles post-events from the source until the context ends. If the consumer is missing, it
// registers the app again, which creates the consumer. If an operator has removed the app, it waits.
func (w *worker) receive(ctx context.Context, s *source) {
	defer s.nakWaiting()
	removed := false
	for ctx.Err() == nil {
		err := s.bind(ctx)
		if err == nil {
			s.receiveRecovered()
			err = s.read(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		wait := removedWait
		if !removed {
			wait = rebindWait
			s.receiveFailed(err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			removed = false
			continue // the room service may be down, and is not needed
		}
		wasRemoved := removed
		if removed = w.registration(ctx) == registrationRemoved; removed {
			if !wasRemoved {
				w.logRemoved()
			}
			continue
		}
		if err := w.register(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("registration failed", "error", err)
		}
	}
}

// receiveFailed records that receiving from the source fails. All sources share one outage, because they
// all fail while JetStream is down.
func (s *source) receiveFailed(err error) {
	if !s.failing {
		s.failing = true
		s.failingSources.Add(1)
	}
	if s.nc.IsConnected() && s.receiveOutage.Failed(time.Now()) { // otherwise the lost connection is logged
		s.log.Warn("receiving post-events failed; retrying", "stream", s.stream, "error", err)
	}
}

// receiveRecovered records that receiving from the source works.
func (s *source) receiveRecovered() {
	if !s.failing {
		return
	}
	s.failing = false
	if s.failingSources.Add(-1) > 0 {
		return
	}
	if lasted, log := s.receiveOutage.Ended(time.Now()); log {
		s.log.Info("receiving post-events again", "stream", s.stream, "outage", lasted.Round(time.Millisecond))
	}
}

// handle runs the handler of an event, and acknowledges the event as the result of the handler
// requires. It reports whether the event is done.
func (s *source) handle(d *delivery) (done bool) {
	if d.expired() {
		return false
	}
	if d.unordered {
		s.log.Warn("event handled without confirmation that the previous event is done", "event", d.event.ID, "previous_seq", d.previous)
	}
	ended := s.stats.begin(s.interfaceOf(d.kind), d)
	err := s.tell(d)
	ended(err)
	if err != nil {
		s.logFailure(err, s.interfaceOf(d.kind), d.event.ID)
	}
	done, err = s.acknowledge(d, decideAck(err, d, s.app.Manifest))
	if err != nil {
		s.log.Warn("acknowledgement failed; the event will be redelivered", "event", d.event.ID, "error", err)
	}
	return done
}

// tell runs the handler. If the event has reached the maximum number of tries, tell returns errNeverAcked
// instead: no worker that received the event has acknowledged it.
func (s *source) tell(d *delivery) error {
	i := s.interfaceOf(d.kind)
	switch {
	case d.invalid != nil:
		return Discard(d.invalid) // the room service quarantines it too
	case i == "" && s.passesOver(s.stopping, d):
		return nil
	case i == "":
		return errNotImplemented
	case d.tries() >= uint64(s.app.Manifest.Deliveries()):
		return errNeverAcked
	}
	s.rooms.NotOlderThan(d.event.Seq) // a read by the handler includes the event
	ctx, cancel := d.handlerContext(roomclient.WithCause(s.stopping, subjects.CausesOfReaction(d.of.Headers)...), s.cfg.HandlerTimeout)
	defer cancel()
	defer s.handlers.begin(ctx, i, d.event.ID)()
	err := s.app.tell(ctx, s.rooms, i, d.of.Data, d.event, d.tries())
	if err != nil && d.expired() {
		return fmt.Errorf("%w: %w", errLeaseLost, err)
	}
	return err
}

// interfaceOf returns the post-interface of an event type, or "" if the app does not implement it.
func (w *worker) interfaceOf(e room.EventType) room.Interface {
	for i := range w.app.tells {
		if i.Event() == e {
			return i
		}
	}
	return ""
}
