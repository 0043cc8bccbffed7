package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The waits before a worker binds its consumer again: after a failure, and while the app is removed.
const (
	rebindWait  = time.Second
	removedWait = 5 * time.Second
)

// receive handles post-events from the source until the context ends. If the consumer is missing, it
// has the app registered again, which creates the consumer. If an operator has removed the app, it waits.
func (s *source) receive(ctx context.Context) {
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
		removed = s.cfg.App.Restore(ctx, removed)
	}
}

// receiveFailed records that receiving from the source fails. All sources share one outage, because they
// all fail while JetStream is down.
func (s *source) receiveFailed(err error) {
	if !s.failing {
		s.failing = true
		s.c.failing.Add(1)
	}
	if s.cfg.Conn.IsConnected() && s.c.outage.Failed(time.Now()) { // otherwise the lost connection is logged
		s.cfg.Log.Warn("receiving post-events failed; retrying", "stream", s.stream, "error", err)
	}
}

// receiveRecovered records that receiving from the source works.
func (s *source) receiveRecovered() {
	if !s.failing {
		return
	}
	s.failing = false
	if s.c.failing.Add(-1) > 0 {
		return
	}
	if lasted, log := s.c.outage.Ended(time.Now()); log {
		s.cfg.Log.Info("receiving post-events again", "stream", s.stream, "outage", lasted.Round(time.Millisecond))
	}
}
