package bus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Request is a request and its retry policy.
type Request struct {
	Subject string
	// Message returns the message for one attempt. left is the time left until the timeout.
	Message func(left time.Duration) *nats.Msg
	Timeout time.Duration
	// Retry is the subject for one more attempt. It is made after half of the timeout without a reply,
	// or at once after a reply with error code 503. All workers subscribe to the retry subject; the
	// first of their replies without that code counts. Without responders on Retry the request goes to
	// Subject again. Empty: no retry.
	Retry string
	// Persist makes the request repeat with backoff while Subject has no responders. If this is so for
	// more than half of the timeout, the request ends without responders: a worker that came later
	// had too little time. Otherwise no responders ends the request at once.
	Persist bool
	// Exported is the name of the exported inbox for the replies of workers in another account (see Export).
	// Replies in other inboxes are ignored. Empty: the inbox of the connection.
	Exported string
	// Foreign is called with the name of the inbox of an ignored reply. It must not block.
	Foreign func(by string)
	// Late is called with a reply that arrives after the timeout. Only the most recent attempts, about
	// 16,000, are kept for this. Late must not block.
	Late func(*nats.Msg)
}

// Reply is the result of a request: a message, or ErrNoResponders, ErrTimeout, or the error of
// sending.
type Reply struct {
	Msg     *nats.Msg
	Err     error
	Took    time.Duration
	Retried bool
}

// Backoff of a request that persists without responders.
const (
	firstPersist = 5 * time.Millisecond
	maxPersist   = 100 * time.Millisecond
)

// Requests is a set of requests in flight. It is not safe for concurrent use.
type Requests struct {
	requester  *Requester
	start      time.Time
	replies    chan received
	open       []*openRequest // by the number of the request; nil once it has ended
	left       int            // number of open requests
	timerStale bool           // the timer may not be set to the earliest due time
	ended      []endedRequest // not yet returned by Next
	timer      *time.Timer
}

// openRequest is a request without a result. Its state after the first attempt:
//
//	tokens  next  state
//	some    set   in flight; at next it is sent to Retry
//	some    zero  in flight; no further attempt, or it has been sent to Retry
//	none    set   no responders; at next it is sent again (Persist)
//	none    zero  no attempt in flight, except that a worker may still reply to retry
//
// It ends with a reply or at its timeout.
type openRequest struct {
	Request
	ends    time.Time
	next    time.Time // time of the next attempt; zero: none
	backoff *backoff.ExponentialBackOff
	tokens  []string // attempts in flight
	retry   string   // token of the attempt on Retry, as long as a reply to it is possible
	retried bool
	absent  time.Duration // time from the start until the last attempt that no worker took
	refusal *nats.Msg     // the last reply with error code 503
}

type endedRequest struct {
	n     int
	reply Reply
}

// maxReplies is the number of replies to one request that can be queued at once: one to the first
// attempt, two to the attempt on Retry, and one to the attempt that replaces the latter.
const maxReplies = 4

// Ask sends all requests. Next returns their results. Close abandons the requests that are still open.
func (r *Requester) Ask(requests []Request) *Requests {
	g := &Requests{
		requester: r, start: time.Now(), open: make([]*openRequest, len(requests)), left: len(requests), timerStale: true,
		replies: make(chan received, maxReplies*len(requests)),
	}
	open, all := make([]openRequest, len(requests)), make([]envelope, len(requests))
	for n, q := range requests {
		open[n] = openRequest{Request: q, ends: g.start.Add(q.Timeout)}
		g.open[n] = &open[n]
		all[n] = g.attempt(n, g.start)
	}
	r.out.publish(all...)
	return g
}

// Next returns the number and the result of a request that has ended, each request once, in the order
// in which they end. It returns false when no request is left, or when the context ends. In the latter
// case Next may be called again with another context.
func (g *Requests) Next(ctx context.Context) (n int, r Reply, ok bool) {
	for len(g.ended) == 0 {
		if g.left == 0 {
			return 0, Reply{}, false
		}
		if g.timerStale {
			g.setTimer()
		}
		select {
		case r := <-g.replies:
			g.receive(r)
		case <-g.timer.C:
			g.timerStale = true
			g.receiveQueued() // replies that have arrived are not late
			g.runDue(time.Now())
		case <-ctx.Done():
			g.receiveQueued()
			if len(g.ended) == 0 {
				return 0, Reply{}, false
			}
		}
	}
	first := g.ended[0]
	g.ended = g.ended[1:]
	return first.n, first.reply, true
}

// Close abandons the open requests.
func (g *Requests) Close() {
	for n, q := range g.open {
		if q != nil {
			g.requester.remove(q.openTokens()...)
			g.open[n] = nil
		}
	}
	g.left = 0
	if g.timer != nil {
		g.timer.Stop()
	}
}

func (g *Requests) receiveQueued() {
	for {
		select {
		case r := <-g.replies:
			g.receive(r)
		default:
			return
		}
	}
}

// setTimer sets the timer to the earliest due time.
func (g *Requests) setTimer() {
	g.timerStale = false
	var due time.Time
	for _, q := range g.open {
		if q == nil {
			continue
		}
		for _, at := range []time.Time{q.ends, q.next} {
			if !at.IsZero() && (due.IsZero() || at.Before(due)) {
				due = at
			}
		}
	}
	if g.timer == nil {
		g.timer = time.NewTimer(time.Until(due))
		return
	}
	g.timer.Reset(time.Until(due))
}

// runDue ends the requests that have timed out, and makes the attempts that are due.
func (g *Requests) runDue(now time.Time) {
	for n, q := range g.open {
		switch {
		case q == nil:
		case !now.Before(q.ends):
			r := Reply{Err: ErrTimeout, Took: now.Sub(g.start)}
			if len(q.tokens) == 0 || q.absent > q.Timeout/2 {
				r.Msg, r.Err = q.unanswered()
			}
			g.end(n, r)
		case q.next.IsZero() || now.Before(q.next):
		case len(q.tokens) == 0:
			g.requester.out.publish(g.attempt(n, now))
		default:
			g.retry(n, now)
		}
	}
}

// attempt prepares an attempt on Subject. The retry is due after half of the time that is left.
func (g *Requests) attempt(n int, now time.Time) envelope {
	q := g.open[n]
	q.next = time.Time{}
	if q.Retry != "" && !q.retried {
		q.next = now.Add(q.ends.Sub(now) / 2)
	}
	return g.prepare(n, q.Subject, now)
}

// retry makes the attempt on Retry.
func (g *Requests) retry(n int, now time.Time) {
	q := g.open[n]
	q.retried, q.next = true, time.Time{}
	e := g.prepare(n, q.Retry, now)
	q.retry = q.tokens[len(q.tokens)-1]
	g.requester.out.publish(e)
}

// prepare returns the envelope of an attempt. If it cannot be sent, the error takes the place of the
// reply.
func (g *Requests) prepare(n int, subject string, now time.Time) envelope {
	q := g.open[n]
	token := g.requester.add(pending{replies: g.replies, n: n, shared: subject == q.Retry, exported: q.Exported, foreign: q.Foreign})
	q.tokens, g.timerStale = append(q.tokens, token), true
	msg := q.Message(q.ends.Sub(now))
	msg.Subject, msg.Reply = subject, g.requester.inbox(q.Exported)+token
	return envelope{msg: msg, unbuffered: true, failed: func(err error) {
		g.requester.remove(token)
		g.replies <- received{n: n, token: token, err: fmt.Errorf("requesting %s: %w", subject, err), at: time.Now()}
	}}
}

// receive handles a reply. A reply ends its request, unless it reports no responders or error code 503
// and another attempt is possible.
func (g *Requests) receive(r received) {
	q := g.open[r.n]
	if q == nil {
		return // a second reply that was queued before the first one ended the request
	}
	q.tokens = slices.DeleteFunc(q.tokens, func(token string) bool { return token == r.token })
	if r.err != nil {
		g.sendFailed(q, r)
		return
	}
	noResponders, unavailable := isNoResponders(r.msg), isUnavailable(r.msg)
	if unavailable {
		q.refusal = r.msg
	}
	switch {
	case noResponders && r.token == q.retry:
		g.requester.out.publish(g.prepare(r.n, q.Subject, r.at))
		q.retry = ""
	case unavailable && q.Retry != "" && !q.retried:
		g.retry(r.n, r.at)
	case !noResponders && !unavailable:
		g.end(r.n, Reply{Msg: r.msg, Took: r.at.Sub(g.start)})
		return
	}
	switch {
	case len(q.tokens) > 0: // another attempt is in flight
	case q.Persist:
		q.absent = r.at.Sub(g.start)
		q.next, g.timerStale = r.at.Add(q.wait()), true
	case q.retry != "": // another worker may reply to the retry
	default:
		msg, err := q.unanswered()
		g.end(r.n, Reply{Msg: msg, Err: err, Took: r.at.Sub(g.start)})
	}
}

// sendFailed ends a request after a failed send, unless another attempt is in flight.
func (g *Requests) sendFailed(q *openRequest, r received) {
	if r.token == q.retry {
		q.retry = ""
	}
	if len(q.tokens) > 0 || q.retry != "" {
		return
	}
	end := Reply{Err: r.err, Took: r.at.Sub(g.start)}
	if q.refusal != nil {
		end.Msg, end.Err = q.unanswered()
	}
	g.end(r.n, end)
}

// unanswered returns the result of a request without an attempt in flight.
func (q *openRequest) unanswered() (*nats.Msg, error) {
	if q.refusal != nil {
		return q.refusal, nil
	}
	return nil, ErrNoResponders
}

// retryToken returns the token that several workers may reply to.
func (q *openRequest) retryToken() []string {
	if q.retry == "" {
		return nil
	}
	return []string{q.retry}
}

// openTokens returns the tokens of all attempts that may be replied to.
func (q *openRequest) openTokens() []string {
	if q.retry == "" || slices.Contains(q.tokens, q.retry) {
		return q.tokens
	}
	return append(q.tokens, q.retry)
}

// isUnavailable reports whether a worker declines the request, so that another worker should serve it.
func isUnavailable(msg *nats.Msg) bool { return msg.Header.Get(micro.ErrorCodeHeader) == "503" }

func (q *openRequest) wait() time.Duration {
	if q.backoff == nil {
		q.backoff = &backoff.ExponentialBackOff{InitialInterval: firstPersist, MaxInterval: maxPersist, Multiplier: 2, RandomizationFactor: 0.2}
		q.backoff.Reset()
	}
	return q.backoff.NextBackOff()
}

func (g *Requests) end(n int, r Reply) {
	q := g.open[n]
	r.Retried = q.retried
	if r.Err == nil && !isUnavailable(r.Msg) {
		q.Late = nil // a reply to another attempt is not a late verdict
		g.requester.remove(q.tokens...)
		g.requester.keepEnded(q.retryToken(), nil)
	} else {
		g.requester.keepEnded(q.openTokens(), q.Late)
	}
	g.open[n] = nil
	g.left--
	g.ended = append(g.ended, endedRequest{n: n, reply: r})
}
