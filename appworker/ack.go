package appworker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

var (
	// errNeverAcked is the reason of a dead letter for an event that reached the maximum number of tries
	// without any acknowledgement.
	errNeverAcked = errors.New("every worker that received it died or stopped responding before it acknowledged it")
	// errNotImplemented is returned for an event whose interface this worker does not implement,
	// although the registered version of the app may. A worker of that version can handle it.
	errNotImplemented = errors.New("this worker does not implement the interface; replace it with one of the version that is registered")
)

// ackDecision says how to acknowledge an event. At most one field is set; the zero value means that the
// event is redelivered at once.
type ackDecision struct {
	ack        bool          // the event is done
	deadLetter error         // the event becomes a dead letter, for this reason
	retryAfter time.Duration // the event is redelivered after this delay
	noAck      bool          // another worker may own the event
}

// decideAck returns how to acknowledge an event after the handler returned err. After the last delivery
// the event is never retried, because the server would not redeliver it.
func decideAck(err error, d *delivery, m Manifest) ackDecision {
	isLast := d.attempt >= uint64(m.Deliveries())
	var retry *RetryError
	var discarded *DiscardError
	switch {
	case err == nil:
		return ackDecision{ack: true}
	case errors.Is(err, errLeaseLost):
		return ackDecision{noAck: true}
	case errors.Is(err, errNotImplemented) && !isLast:
		return ackDecision{retryAfter: retryDelay(d.attempt)}
	case errors.As(err, &discarded), isLast, d.tries() >= uint64(m.Attempts()):
		return ackDecision{deadLetter: err}
	case errors.As(err, &retry):
		return ackDecision{retryAfter: retry.After}
	}
	return ackDecision{retryAfter: retryDelay(d.tries())}
}

// deadLetterTimeout bounds one attempt to store a dead letter.
const deadLetterTimeout = 5 * time.Second

// acknowledge acknowledges the event as decided. It reports whether the event is done and will not be
// redelivered. A dead letter is stored before its event is terminated.
func (s *source) acknowledge(d *delivery, how ackDecision) (done bool, err error) {
	switch {
	case how.ack:
		return true, d.msg.Ack()
	case how.noAck:
		return false, nil
	case how.deadLetter == nil:
		return false, d.msg.NakWithDelay(how.retryAfter)
	}
	// A nak would exceed the maximum number of deliveries, so the worker retries until the lease expires.
	_, err = backoff.Retry(s.stopping, func() (struct{}, error) {
		err := s.storeDeadLetter(d, how.deadLetter)
		if err != nil && d.expired() {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, next time.Duration) {
		if s.deadLetterOutage.Failed(time.Now()) {
			s.log.Error("dead letter not stored; retrying", "event", d.event.ID, "error", err, "again_in", next.Round(time.Millisecond))
		}
	}))
	if err != nil {
		return false, fmt.Errorf("storing the dead letter: %w", err)
	}
	if lasted, log := s.deadLetterOutage.Ended(time.Now()); log {
		s.log.Info("dead letters stored again", "outage", lasted.Round(time.Millisecond))
	}
	// gofail: var betweenDeadLetterAndAck struct{}
	s.log.Error("an event is a dead letter", "event", d.event.ID, "seq", d.of.Seq, "attempts", d.attempt, "error", how.deadLetter)
	return true, d.msg.Term()
}

// storeDeadLetter stores the dead letter of an event. The message id prevents duplicates.
func (s *source) storeDeadLetter(d *delivery, reason error) error {
	ctx, cancel := context.WithTimeout(s.stopping, deadLetterTimeout)
	defer cancel()
	subject, headers := subjects.EncodeDead(s.app.Manifest.ID, d.of, reason, d.attempt)
	msg := &nats.Msg{Subject: subject, Header: headers, Data: d.of.Data}
	_, err := s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(subjects.DeadID(s.app.Manifest.ID, s.stream, s.bound.Load().created, d.seq)))
	return err
}
