package appworker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

var (
	// errSilent is why an event is given up that was delivered as often as it may be tried and
	// was never acknowledged.
	errSilent = errors.New("every worker that had it died, or went silent, before it was done with it")
	// errNotImplemented is what an event of a type ends with that only later versions of the app
	// know. It is not the event's fault: another worker may do better.
	errNotImplemented = errors.New("this worker does not implement the interface; replace it with one of the version that is registered")
)

// settlement is how an event is acknowledged.
type settlement struct {
	ack   bool          // it is done
	bury  error         // it becomes a dead letter, for this reason
	again time.Duration // if neither: it is delivered again, not before that time has passed
	leave bool          // if neither: it is another worker's
}

// settle decides how an event that has been tried for the nth time is acknowledged.
func settle(err error, attempt uint64, attempts int) settlement {
	var retry *RetryError
	var discarded *DiscardError
	switch {
	case err == nil:
		return settlement{ack: true}
	case errors.Is(err, errLeaseLost):
		return settlement{leave: true}
	case errors.Is(err, errNotImplemented) && attempt <= uint64(max(attempts, 1)):
		return settlement{again: retryDelay(attempt)} // up to the last delivery: the server moves no floor over what it gives up
	case errors.As(err, &discarded), attempt >= uint64(max(attempts, 1)):
		return settlement{bury: err}
	case errors.As(err, &retry):
		return settlement{again: retry.After}
	}
	return settlement{again: retryDelay(attempt)}
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
	if err := s.bury(d, how.bury); err != nil {
		return false, errors.Join(fmt.Errorf("storing the dead letter: %w", err), d.msg.NakWithDelay(lastRetry))
	}
	// gofail: var betweenDeadLetterAndAck struct{}
	s.log.Error("an event is a dead letter", "event", d.event.ID, "seq", d.of.Seq, "attempts", d.attempt, "error", how.bury)
	return true, d.msg.TermWithReason(how.bury.Error())
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
