package roomclient

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
)

// The waits between attempts.
const (
	firstWait = 10 * time.Millisecond
	maxWait   = time.Second
)

// insist sends a request, the same each time, until an answer is final or the time is up.
func (c *Client) insist(ctx context.Context, subject string, h nats.Header, body []byte) (*nats.Msg, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
	}
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = firstWait, maxWait
	attempts := &attempts{Client: c}
	var last error
	reply, err := backoff.Retry(ctx, func() (*nats.Msg, error) {
		reply, err := attempts.send(ctx, subject, h, body)
		cut := ctx.Err() != nil && !attempts.down || errors.Is(err, &room.Error{Code: room.CodeDeadlineExceeded})
		mute := attempts.silent && errors.Is(last, &room.Error{Code: room.CodeUnavailable})
		if last == nil || !cut && !mute { // else it says less than the one before
			last = err
		}
		if err != nil && !worthRepeating(err) {
			return nil, backoff.Permanent(err)
		}
		return reply, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0))
	if err != nil && ctx.Err() != nil && last != nil {
		return nil, &timeUpError{last: last, ended: ctx.Err()}
	}
	return reply, err
}

// timeUpError is the last error of a request whose time was up. It is a *room.Error and the
// context's error to errors.As and errors.Is, and reads as the former.
type timeUpError struct{ last, ended error }

func (e *timeUpError) Error() string   { return e.last.Error() }
func (e *timeUpError) Unwrap() []error { return []error{e.last, e.ended} }

// replyError is the error that a reply carries, nil if it is none.
func replyError(reply *nats.Msg) error {
	if reply.Header.Get(micro.ErrorCodeHeader) == "" {
		return nil
	}
	var e room.Error
	if err := room.DecodeLenient(reply.Data, &e); err != nil || e.Code == "" {
		return room.Errorf(room.CodeUnavailable, "the service answered with an error that cannot be read: %s", reply.Header.Get(micro.ErrorHeader))
	}
	return &e
}

// worthRepeating reports whether the same request may do better a moment later.
func worthRepeating(err error) bool {
	var e *room.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case room.CodeConflict, room.CodeOverloaded, room.CodeUnavailable, room.CodeDeadlineExceeded:
		return true
	}
	return false
}
