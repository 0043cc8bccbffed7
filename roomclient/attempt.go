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
	// maxReserve is kept of an attempt's time for the answer, unless a tenth is less.
	maxReserve = 250 * time.Millisecond
)

// attempts are those of one call.
type attempts struct {
	*Client
	silent bool          // the last one was not answered
	down   bool          // the last one could not be sent, as the connection is down
	skew   time.Duration // how far the service's clock is ahead, as its last answer said
}

// next is how long the next attempt may take of what is left of the call.
func (a *attempts) next(left time.Duration) time.Duration {
	share := left * 17 / 20
	if a.silent {
		share = left / 2
	}
	return min(a.cfg.AttemptTimeout, max(share, minAttempt), left)
}

// send sends the request once and waits for the answer. It does not send while the connection is down:
// the request would leave when the connection is back, after the caller was told that it failed.
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
			a.newest.forget(demanded) // the stream was made anew and ends before
		}
		a.newest.learn(reply.Header)
		a.learnSkew(reply.Header)
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

// learnSkew takes the time by the service's clock, which it says when the request's time was over: if
// its clock is ahead, that may be the cause.
func (a *attempts) learnSkew(reply nats.Header) {
	if clock, err := subjects.GetTime(reply, subjects.Clock); err == nil && !clock.IsZero() {
		a.skew = time.Until(clock)
	}
}
