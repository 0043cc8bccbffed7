package consumer

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// deadLetterTimeout bounds one attempt to store a dead letter.
const deadLetterTimeout = 5 * time.Second

// deadLetter stores the dead letter of an event and then terminates the event. It reports whether the event
// is done.
func (s *source) deadLetter(d *delivery, reason error) (done bool, err error) {
	// A nak would exceed the maximum number of deliveries, so the worker retries until the lease expires.
	_, err = backoff.Retry(s.c.stopping, func() (struct{}, error) {
		err := s.storeDeadLetter(d, reason)
		if err != nil && d.expired() {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, next time.Duration) {
		if s.deadLetterOutage.Failed(time.Now()) {
			s.cfg.Log.Error("dead letter not stored; retrying", "event", d.event.ID, "error", err, "again_in", next.Round(time.Millisecond))
		}
	}))
	if err != nil {
		return false, fmt.Errorf("storing the dead letter: %w", err)
	}
	if lasted, log := s.deadLetterOutage.Ended(time.Now()); log {
		s.cfg.Log.Info("dead letters stored again", "outage", lasted.Round(time.Millisecond))
	}
	// gofail: var betweenDeadLetterAndAck struct{}
	s.cfg.Log.Error("an event is a dead letter", "event", d.event.ID, "seq", d.of.Seq, "attempts", d.Attempt, "error", reason)
	return true, d.msg.Term()
}

// storeDeadLetter stores the dead letter of an event. The message id prevents duplicates.
func (s *source) storeDeadLetter(d *delivery, reason error) error {
	ctx, cancel := context.WithTimeout(s.c.stopping, deadLetterTimeout)
	defer cancel()
	subject, headers := subjects.EncodeDead(s.cfg.Manifest.ID, d.of, reason, d.Attempt)
	msg := &nats.Msg{Subject: subject, Header: headers, Data: d.of.Data}
	_, err := s.c.js.PublishMsg(ctx, msg, jetstream.WithMsgID(subjects.DeadID(s.cfg.Manifest.ID, s.stream, s.bound.Load().created, d.Seq)))
	return err
}
