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
	// errSilent is why an event is given up that was delivered as often as it may be tried and
	// was never acknowledged.
	errSilent = errors.New("every worker that had it died, or went silent, before it was done with it")
	// errNotImplemented is what an event ends with whose interface this worker does not implement,
	// though the registered version of the app does, as far as is known. A worker of that version
	// can handle it.
	errNotImplemented = errors.New("this worker does not implement the interface; replace it with one of the version that is registered")
)

// settlement is how an event is acknowledged.
type settlement struct {
	ack   bool          // it is done
	bury  error         // it becomes a dead letter, for this reason
	again time.Duration // if neither: it is delivered again, not before that time has passed
	leave bool          // if neither: it is another worker's
}

// settle decides how an event is acknowledged. After its last delivery there is no other: the
// server would give it up.
func settle(err error, d *delivery, m Manifest) settlement {
	isLast := d.attempt >= uint64(m.Deliveries())
	var retry *RetryError
	var discarded *DiscardError
	switch {
	case err == nil:
		return settlement{ack: true}
	case errors.Is(err, errLeaseLost):
		return settlement{leave: true}
	case errors.Is(err, errNotImplemented) && !isLast:
		return settlement{again: retryDelay(d.attempt)}
	case errors.As(err, &discarded), isLast, d.tries() >= uint64(m.Attempts()):
		return settlement{bury: err}
	case errors.As(err, &retry):
		return settlement{again: retry.After}
	}
	return settlement{again: retryDelay(d.tries())}
}

// buryTimeout bounds how long a dead letter may take to be stored.
const buryTimeout = 5 * time.Second

// acknowledge tells JetStream how it went. It reports whether the event is done, and so does
// not come again. A dead letter is stored before its event is given up.
func (s *source) acknowledge(d *delivery, how settlement) (done bool, err error) {
	switch {
	case how.ack:
		return true, d.msg.Ack()
	case how.leave:
		return false, nil
	case how.bury == nil:
		return false, d.msg.NakWithDelay(how.again)
	}
	// Another delivery would be one too many: it is stored while the event is in this worker's hands.
	_, err = backoff.Retry(s.stopping, func() (struct{}, error) {
		err := s.bury(d, how.bury)
		if err != nil && d.expired() {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, next time.Duration) {
		if s.unburied.Failed(time.Now()) {
			s.log.Error("cannot store a dead letter", "event", d.event.ID, "error", err, "again_in", next.Round(time.Millisecond))
		}
	}))
	if err != nil {
		return false, fmt.Errorf("storing the dead letter: %w", err)
	}
	if lasted, log := s.unburied.Ended(time.Now()); log {
		s.log.Info("dead letters are stored again", "outage", lasted.Round(time.Millisecond))
	}
	// gofail: var betweenDeadLetterAndAck struct{}
	s.log.Error("an event is a dead letter", "event", d.event.ID, "seq", d.of.Seq, "attempts", d.attempt, "error", how.bury)
	return true, d.msg.Term()
}

// bury stores the dead letter of an event, once.
func (s *source) bury(d *delivery, why error) error {
	ctx, cancel := context.WithTimeout(s.stopping, buryTimeout)
	defer cancel()
	subject, headers := subjects.EncodeDead(s.app.Manifest.ID, d.of, why, d.attempt)
	msg := &nats.Msg{Subject: subject, Header: headers, Data: d.of.Data}
	_, err := s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(subjects.DeadID(s.app.Manifest.ID, s.stream, s.bound.Load().made, d.seq)))
	return err
}
