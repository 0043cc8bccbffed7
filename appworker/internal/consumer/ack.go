package consumer

import (
	"errors"
	"time"

	"github.com/roombus/roombus/room"
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
func decideAck(err error, d *delivery, m room.Manifest, app App) ackDecision {
	isLast := d.Attempt >= uint64(m.Deliveries())
	retryAfter, retry := app.RetryAfter(err)
	switch {
	case err == nil:
		return ackDecision{ack: true}
	case errors.Is(err, errLeaseLost):
		return ackDecision{noAck: true}
	case errors.Is(err, errNotImplemented) && !isLast:
		return ackDecision{retryAfter: retryDelay(d.Attempt)}
	case d.invalid != nil, app.Discards(err), isLast, d.tries() >= uint64(m.Attempts()):
		return ackDecision{deadLetter: err}
	case retry:
		return ackDecision{retryAfter: retryAfter}
	}
	return ackDecision{retryAfter: retryDelay(d.tries())}
}

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
	return s.deadLetter(d, how.deadLetter)
}

// The delays before a redelivery, if the handler does not set one.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retryDelay doubles with each delivery, up to lastRetry.
func retryDelay(delivered uint64) time.Duration {
	return min(firstRetry<<min(max(delivered, 1)-1, 10), lastRetry)
}
