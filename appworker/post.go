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

// The waits before a worker looks for its consumer again: one that was lost, and one of an app
// that was removed.
const (
	rebindWait  = time.Second
	removedWait = 5 * time.Second
)

// receive handles post-events from the source until the context ends. If the consumer is
// gone, the app is registered anew, which makes it again, unless an operator has removed the app.
func (w *worker) receive(ctx context.Context, s *source) {
	defer s.leave()
	removed := false
	for ctx.Err() == nil {
		err := s.bind(ctx)
		if err == nil {
			s.receives()
			err = s.read(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		wait := removedWait
		if !removed {
			wait = rebindWait
			s.cannotReceive(err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			removed = false
			continue // there may be no room service to ask, and none is needed
		}
		was := removed
		if removed = w.registration(ctx) == registrationRemoved; removed {
			if !was {
				w.logRemoved()
			}
			continue
		}
		if err := w.register(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("cannot register again", "error", err)
		}
	}
}

// cannotReceive takes note that receiving from the source has failed. While JetStream is away it fails from all sources.
func (s *source) cannotReceive(err error) {
	if !s.isCutOff {
		s.isCutOff = true
		s.cutOff.Add(1)
	}
	if s.nc.IsConnected() && s.unreceived.Failed(time.Now()) { // otherwise the loss of the connection is logged
		s.log.Warn("receiving post-events broke off; trying again", "stream", s.stream, "error", err)
	}
}

// receives takes note that receiving from the source has begun.
func (s *source) receives() {
	if !s.isCutOff {
		return
	}
	s.isCutOff = false
	if s.cutOff.Add(-1) > 0 {
		return
	}
	if lasted, log := s.unreceived.Ended(time.Now()); log {
		s.log.Info("receiving post-events again", "stream", s.stream, "outage", lasted.Round(time.Millisecond))
	}
}

// handle runs the handler of an event, and acknowledges the event as the handler says. It reports
// whether the event is done.
func (s *source) handle(d *delivery) (done bool) {
	if d.expired() {
		return false
	}
	if d.blind {
		s.log.Warn("an event begins though nobody knows whether the one before it is done", "event", d.event.ID, "before", d.previous)
	}
	ended := s.figures.begin(s.interfaceOf(d.kind), d)
	err := s.tell(d)
	ended(err)
	if err != nil {
		s.logFailure(err, s.interfaceOf(d.kind), d.event.ID)
	}
	done, err = s.acknowledge(d, settle(err, d, s.app.Manifest))
	if err != nil {
		s.log.Warn("cannot acknowledge; the event will come again", "event", d.event.ID, "error", err)
	}
	return done
}

// tell runs the handler, unless the event has been tried as often as it may: then no worker
// that it was given to lived to say how it ended.
func (s *source) tell(d *delivery) error {
	i := s.interfaceOf(d.kind)
	switch {
	case d.invalid != nil:
		return Discard(d.invalid) // the room service has quarantined it too
	case i == "" && s.passesOver(s.stopping, d):
		return nil
	case i == "":
		return errNotImplemented
	case d.tries() >= uint64(s.app.Manifest.Deliveries()):
		return errSilent
	}
	s.rooms.NotOlderThan(d.event.Seq) // the handler finds in the room what the event says
	ctx, cancel := d.handling(roomclient.WithCause(s.stopping, subjects.CausesOfReaction(d.of.Headers)...), s.cfg.HandlerTimeout)
	defer cancel()
	defer s.running.begin(ctx, i, d.event.ID)()
	err := s.app.tell(ctx, s.rooms, i, d.of.Data, d.event, d.tries())
	if err != nil && d.expired() {
		return fmt.Errorf("%w: %w", errLeaseLost, err)
	}
	return err
}

// interfaceOf is the post-interface that an event type is told on.
func (w *worker) interfaceOf(e room.EventType) room.Interface {
	for i := range w.app.tells {
		if i.Event() == e {
			return i
		}
	}
	return ""
}
