package roomclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

const (
	// minAttempt is the shortest attempt, unless less is left of the call.
	minAttempt = 200 * time.Millisecond
	// maxReserve is the part of an attempt's time that is reserved for the reply to travel back. The reserve
	// is a tenth of the attempt if that is less.
	maxReserve = 250 * time.Millisecond
)

// attempts is the state of the attempts of one call.
type attempts struct {
	*Client
	silent bool          // the last attempt got no reply
	down   bool          // the last attempt was not sent, because the connection is down
	skew   time.Duration // how far the service's clock is ahead, from its last reply
}

// next returns the timeout of the next attempt. left is the time left of the call.
func (a *attempts) next(left time.Duration) time.Duration {
	share := left * 17 / 20
	if a.silent {
		share = left / 2
	}
	return min(a.cfg.AttemptTimeout, max(share, minAttempt), left)
}

// send sends the request once and waits for the reply. It does not send while the connection is down: the
// client library would buffer the request and send it after a reconnect, when the call has already failed.
func (a *attempts) send(ctx context.Context, subject string, h nats.Header, body []byte) (*nats.Msg, error) {
	if a.down = !a.awaitConnection(ctx); a.down {
		return nil, errDown()
	}
	end, _ := ctx.Deadline()
	now := time.Now()
	given := a.next(end.Sub(now))
	attempt, cancel := context.WithDeadline(ctx, now.Add(given))
	defer cancel()
	msg := &nats.Msg{Subject: subject, Header: maps.Clone(h), Data: body}
	msg.Header.Set(subjects.TimeoutMs, strconv.FormatInt(max(1, (given-min(given/10, maxReserve)).Milliseconds()), 10))
	subjects.SetTime(msg.Header, subjects.Deadline, now.Add(given+a.skew))
	demanded := a.newest.demand(msg.Header)
	reply, err := a.nc.RequestMsgWithContext(attempt, msg)
	a.silent = err != nil && attempt.Err() != nil
	switch {
	case err == nil:
		err = replyError(reply)
		if errors.Is(err, &room.Error{Code: room.CodeConflict}) {
			a.newest.reset(demanded) // the stream was recreated and ends before demanded
		}
		a.newest.update(reply.Header)
		a.updateSkew(reply.Header)
		return reply, err
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, room.Errorf(room.CodeTooLarge, "the request is %d bytes; the server takes at most %d", len(body), a.nc.MaxPayload())
	case errors.Is(err, nats.ErrNoResponders):
		return nil, room.Errorf(room.CodeUnavailable, "no room service answers on this NATS; roombus serve runs one")
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("requesting %s: %w", subject, err)
	case !a.nc.IsConnected():
		a.down = true
		return nil, errDown()
	}
	return nil, room.Errorf(room.CodeUnavailable, "the room service did not answer in time")
}

func errDown() error { return room.Errorf(room.CodeUnavailable, "the connection to NATS is down") }

// awaitConnection reports whether the connection is up, or closed for good, before the context ends.
func (c *Client) awaitConnection(ctx context.Context) bool {
	if c.nc.IsConnected() {
		return true
	}
	changes := c.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer c.nc.RemoveStatusListener(changes)
	for !c.nc.IsConnected() && !c.nc.IsClosed() {
		select {
		case <-changes:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// updateSkew reads the service's clock from a reply. The service sends it when the request's deadline had
// passed, because a clock that is ahead may be the cause.
func (a *attempts) updateSkew(reply nats.Header) {
	if clock, err := subjects.GetTime(reply, subjects.Clock); err == nil && !clock.IsZero() {
		a.skew = time.Until(clock)
	}
}
