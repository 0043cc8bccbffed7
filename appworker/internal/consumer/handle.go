package consumer

import (
	"fmt"

	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// handle runs the handler of an event, and acknowledges the event as the result of the handler
// requires. It reports whether the event is done.
func (s *source) handle(d *delivery) (done bool) {
	if d.expired() {
		return false
	}
	if d.Unordered {
		s.cfg.Log.Warn("event handled without confirmation that the previous event is done", "event", d.event.ID, "previous_seq", d.Previous)
	}
	ended := s.c.stats.begin(s.c.interfaceOf(d.kind), d)
	err := s.tell(d)
	ended(err)
	if err != nil {
		s.cfg.App.LogFailure(err, s.c.interfaceOf(d.kind), d.event.ID)
	}
	done, err = s.acknowledge(d, decideAck(err, d, s.cfg.Manifest, s.cfg.App))
	if err != nil {
		s.cfg.Log.Warn("acknowledgement failed; the event will be redelivered", "event", d.event.ID, "error", err)
	}
	return done
}

// tell runs the handler. If the event has reached the maximum number of tries, tell returns errNeverAcked
// instead: no worker that received the event has acknowledged it.
func (s *source) tell(d *delivery) error {
	i := s.c.interfaceOf(d.kind)
	switch {
	case d.invalid != nil:
		return fmt.Errorf("discarded: %w", d.invalid) // the room service quarantines it too
	case i == "" && s.c.passesOver(s.c.stopping, d):
		return nil
	case i == "":
		return errNotImplemented
	case d.tries() >= uint64(s.cfg.Manifest.Deliveries()):
		return errNeverAcked
	}
	ctx, cancel := d.handlerContext(roomclient.WithCause(s.c.stopping, subjects.CausesOfReaction(d.of.Headers)...), s.cfg.HandlerTimeout)
	defer cancel()
	err := s.cfg.App.Tell(ctx, i, d.of.Data, d.event, d.tries())
	if err != nil && d.expired() {
		return fmt.Errorf("%w: %w", errLeaseLost, err)
	}
	return err
}
