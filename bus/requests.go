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

// Request is one request, and how it is asked.
type Request struct {
	// Subject is where it is sent, Message what; it is made anew for each sending, with the
	// time that is left to answer.
	Subject string
	Message func(left time.Duration) *nats.Msg
	Timeout time.Duration
	// Retry is where it is sent once more if half of the time has passed without a reply, or
	// at once if one who got it replies with error code 503. All who listen there get it: of
	// their replies the first counts that is not of that code. If nobody listens there it
	// goes to Subject again. Empty: it is not.
	Retry string
	// Persist: as long as nobody listens it is sent again, with growing waits. Otherwise that
	// ends it at once.
	Persist bool
	// Late is called with a reply that comes after the time was up, if the question is still
	// remembered: some thousand are. It must not block.
	Late func(*nats.Msg)
}

// Reply is how one question ended: with a message, or with ErrNoResponders, ErrTimeout, or the error
// of sending it.
type Reply struct {
	Msg     *nats.Msg
	Err     error
	Took    time.Duration
	Retried bool
}

// Waits between asking again where nobody listens.
const (
	firstPersist = 5 * time.Millisecond
	maxPersist   = 100 * time.Millisecond
)

// Requests is questions on their way. It is for one goroutine at a time.
type Requests struct {
	asker    *Requester
	start    time.Time
	arrivals chan arrived
	open     []*openRequest // by the question's number, nil once it has ended
	left     int
	unwound  bool            // the timer may be set to another time than what is due first
	ended    []endedRequest // not yet told
	timer    *time.Timer
}

// openRequest is sent, and then
//
//	tokens  next       what is due
//	some    set        somebody has it; at next it is sent to Retry
//	some    zero       somebody has it, and it has been sent to Retry
//	none    set        nobody has it; at next it is sent again (Persist)
//	none    zero       nobody is known to have it, but who listens at Retry may
//
// until a reply comes, or its time is up.
type openRequest struct {
	Request
	ends    time.Time
	next    time.Time // when it is sent again; zero: not
	waits   *backoff.ExponentialBackOff
	tokens  []string // of sendings that may be answered
	retry   string   // token of the sending to Retry, as long as it may be answered
	retried bool
	refusal *nats.Msg // the last reply of one who cannot
}

type endedRequest struct {
	n     int
	reply Reply
}

// mostReplies is how many replies to one question can be on their way at once: to the first
// sending, two to that to Retry, and one to that in its place.
const mostReplies = 4

// Ask sends every question. Next tells how they end, Close gives up those that have not.
func (a *Requester) Ask(questions []Request) *Requests {
	g := &Requests{
		asker: a, start: time.Now(), open: make([]*openRequest, len(questions)), left: len(questions), unwound: true,
		arrivals: make(chan arrived, mostReplies*len(questions)),
	}
	open, all := make([]openRequest, len(questions)), make([]envelope, len(questions))
	for n, q := range questions {
		open[n] = openRequest{Request: q, ends: g.start.Add(q.Timeout)}
		g.open[n] = &open[n]
		all[n] = g.ask(n, g.start)
	}
	a.out.publish(all...)
	return g
}

// Next returns the number of a question that has ended and how, each question once, in the
// order in which they end. It returns false when none is left, or when the context ends;
// then those that are left may still be waited for with another context.
func (g *Requests) Next(ctx context.Context) (n int, r Reply, ok bool) {
	for len(g.ended) == 0 {
		if g.left == 0 {
			return 0, Reply{}, false
		}
		if g.unwound {
			g.wind()
		}
		select {
		case r := <-g.arrivals:
			g.take(r)
		case <-g.timer.C:
			g.unwound = true
			g.takeAll() // what is here already is not late
			g.tick(time.Now())
		case <-ctx.Done():
			g.takeAll()
			if len(g.ended) == 0 {
				return 0, Reply{}, false
			}
		}
	}
	first := g.ended[0]
	g.ended = g.ended[1:]
	return first.n, first.reply, true
}

// Close ends the questions that are left.
func (g *Requests) Close() {
	for n, q := range g.open {
		if q != nil {
			g.asker.forget(q.answerable()...)
			g.open[n] = nil
		}
	}
	g.left = 0
	if g.timer != nil {
		g.timer.Stop()
	}
}

func (g *Requests) takeAll() {
	for {
		select {
		case r := <-g.arrivals:
			g.take(r)
		default:
			return
		}
	}
}

// wind sets the timer to whatever is due first.
func (g *Requests) wind() {
	g.unwound = false
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

// tick does what is due: questions end, or are sent again.
func (g *Requests) tick(now time.Time) {
	for n, q := range g.open {
		switch {
		case q == nil:
		case !now.Before(q.ends):
			r := Reply{Err: ErrTimeout, Took: now.Sub(g.start)}
			if len(q.tokens) == 0 {
				r.Msg, r.Err = q.refused()
			}
			g.end(n, r)
		case q.next.IsZero() || now.Before(q.next):
		case len(q.tokens) == 0:
			g.asker.out.publish(g.ask(n, now))
		default:
			g.retry(n, now)
		}
	}
}

// ask is a question on its way to its subject. Half of the time that is then left, it waits before it
// tries another.
func (g *Requests) ask(n int, now time.Time) envelope {
	q := g.open[n]
	q.next = time.Time{}
	if q.Retry != "" && !q.retried {
		q.next = now.Add(q.ends.Sub(now) / 2)
	}
	return g.sending(n, q.Subject, now)
}

// retry sends a question to whoever else can answer it.
func (g *Requests) retry(n int, now time.Time) {
	q := g.open[n]
	q.retried, q.next = true, time.Time{}
	o := g.sending(n, q.Retry, now)
	q.retry = q.tokens[len(q.tokens)-1]
	g.asker.out.publish(o)
}

// sending is a question ready to be sent. If it cannot be, that arrives in place of a reply.
func (g *Requests) sending(n int, subject string, now time.Time) envelope {
	q := g.open[n]
	token := g.asker.expect(pending{replies: g.arrivals, n: n, shared: subject == q.Retry})
	q.tokens, g.unwound = append(q.tokens, token), true
	msg := q.Message(q.ends.Sub(now))
	msg.Subject, msg.Reply = subject, g.asker.prefix+token
	return envelope{msg: msg, unbuffered: true, failed: func(err error) {
		g.asker.forget(token)
		g.arrivals <- arrived{n: n, token: token, err: fmt.Errorf("asking on %s: %w", subject, err), at: time.Now()}
	}}
}

// take sorts what has arrived: a reply ends its question, the word that nobody listens, or
// that this one cannot, may not.
func (g *Requests) take(r arrived) {
	q := g.open[r.n]
	if q == nil {
		return // a second reply that was on its way when the first one came
	}
	q.tokens = slices.DeleteFunc(q.tokens, func(token string) bool { return token == r.token })
	if r.err != nil {
		g.unsent(q, r)
		return
	}
	nobody, elsewhere := isNoResponders(r.msg), isUnavailable(r.msg)
	if elsewhere {
		q.refusal = r.msg
	}
	switch {
	case nobody && r.token == q.retry:
		g.asker.out.publish(g.sending(r.n, q.Subject, r.at))
		q.retry = ""
	case elsewhere && q.Retry != "" && !q.retried:
		g.retry(r.n, r.at)
	case !nobody && !elsewhere:
		g.end(r.n, Reply{Msg: r.msg, Took: r.at.Sub(g.start)})
		return
	}
	switch {
	case len(q.tokens) > 0: // somebody else has it
	case q.Persist:
		q.next, g.unwound = r.at.Add(q.wait()), true
	case q.retry != "": // somebody else may have it
	default:
		msg, err := q.refused()
		g.end(r.n, Reply{Msg: msg, Err: err, Took: r.at.Sub(g.start)})
	}
}

// unsent ends a question that could not be sent, unless somebody has it already, or may have.
func (g *Requests) unsent(q *openRequest, r arrived) {
	if r.token == q.retry {
		q.retry = ""
	}
	if len(q.tokens) > 0 || q.retry != "" {
		return
	}
	end := Reply{Err: r.err, Took: r.at.Sub(g.start)}
	if q.refusal != nil {
		end.Msg, end.Err = q.refused()
	}
	g.end(r.n, end)
}

// refused is how a question ends that nobody has in hand.
func (q *openRequest) refused() (*nats.Msg, error) {
	if q.refusal != nil {
		return q.refusal, nil
	}
	return nil, ErrNoResponders
}

// shared is the token that several may answer.
func (q *openRequest) shared() []string {
	if q.retry == "" {
		return nil
	}
	return []string{q.retry}
}

// answerable are the tokens of all sendings to which a reply may come.
func (q *openRequest) answerable() []string {
	if q.retry == "" || slices.Contains(q.tokens, q.retry) {
		return q.tokens
	}
	return append(q.tokens, q.retry)
}

// isUnavailable reports whether the one who got the question says that another one should.
func isUnavailable(msg *nats.Msg) bool { return msg.Header.Get(micro.ErrorCodeHeader) == "503" }

func (q *openRequest) wait() time.Duration {
	if q.waits == nil {
		q.waits = &backoff.ExponentialBackOff{InitialInterval: firstPersist, MaxInterval: maxPersist, Multiplier: 2, RandomizationFactor: 0.2}
		q.waits.Reset()
	}
	return q.waits.NextBackOff()
}

func (g *Requests) end(n int, r Reply) {
	q := g.open[n]
	r.Retried = q.retried
	if r.Err == nil && !isUnavailable(r.Msg) {
		q.Late = nil // an answer to another sending is no verdict any more
		g.asker.forget(q.tokens...)
		g.asker.remember(q.shared(), nil)
	} else {
		g.asker.remember(q.answerable(), q.Late)
	}
	g.open[n] = nil
	g.left--
	g.ended = append(g.ended, endedRequest{n: n, reply: r})
}
