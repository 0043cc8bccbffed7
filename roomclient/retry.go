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

// retry sends the same request until a reply is final or the context ends.
func (c *Client) retry(ctx context.Context, subject string, h nats.Header, body []byte) (*nats.Msg, error) {
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
		if last == nil || !cut && !mute { // otherwise the previous error says more
			last = err
		}
		if err != nil && !isTemporary(err) {
			return nil, backoff.Permanent(err)
		}
		return reply, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0))
	if err != nil && ctx.Err() != nil && last != nil {
		return nil, &timeoutError{last: last, ended: ctx.Err()}
	}
	return reply, err
}

// timeoutError is the last error of a request whose context has ended. It wraps that error and the
// context's error, and has the text of the former.
type timeoutError struct{ last, ended error }

func (e *timeoutError) Error() string   { return e.last.Error() }
func (e *timeoutError) Unwrap() []error { return []error{e.last, e.ended} }

// replyError returns the error in a reply, nil if the reply is a result.
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

// isTemporary reports whether the same request may succeed a moment later.
func isTemporary(err error) bool {
	var e *room.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case room.CodeConflict:
		return e.Version == 0
	case room.CodeOverloaded, room.CodeUnavailable, room.CodeDeadlineExceeded:
		return true
	}
	return false
}
