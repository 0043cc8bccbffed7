package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Asker sends requests, many at once, and collects the replies on one wildcard inbox for the
// whole process: a subscription for each call would be several times slower. It is safe for
// concurrent use.
type Asker struct {
	nc     *nats.Conn
	sub    *nats.Subscription
	prefix string
	last   atomic.Uint64
	late   atomic.Uint64

	mu      sync.Mutex
	waiting map[string]waiter // by the last token of the reply subject
}

type waiter struct {
	replies chan<- arrival
	n       int
}

type arrival struct {
	n   int
	msg *nats.Msg
	at  time.Time
}

// Question is one request.
type Question struct {
	Msg     *nats.Msg
	Timeout time.Duration
}

// Reply is how one question ended: with a message, or with ErrNobody, ErrLate, or the error
// of sending it.
type Reply struct {
	Msg  *nats.Msg
	Err  error
	Took time.Duration
}

// NewAsker subscribes to an inbox of its own. Close ends it.
func NewAsker(nc *nats.Conn) (*Asker, error) {
	a := &Asker{nc: nc, prefix: nc.NewInbox() + ".", waiting: make(map[string]waiter)}
	sub, err := nc.Subscribe(a.prefix+"*", a.arrive)
	if err != nil {
		return nil, fmt.Errorf("subscribing to the inbox: %w", err)
	}
	a.sub = sub
	return a, nil
}

// Close gives the inbox up. Questions still open end late.
func (a *Asker) Close() error { return a.sub.Unsubscribe() }

// Late is the number of replies that came after their question had ended.
func (a *Asker) Late() uint64 { return a.late.Load() }

// Ask sends every question and returns when each has ended, in the order of the questions:
// at the latest after the longest timeout, or when the context ends.
func (a *Asker) Ask(ctx context.Context, questions []Question) []Reply {
	replies := make([]Reply, len(questions))
	arrivals := make(chan arrival, len(questions))
	start := time.Now()
	open := make(map[int]string, len(questions)) // question -> token
	for n, q := range questions {
		token := a.expect(arrivals, n)
		q.Msg.Reply = a.prefix + token
		if err := a.nc.PublishMsg(q.Msg); err != nil {
			a.forget(token)
			replies[n] = Reply{Err: fmt.Errorf("asking on %s: %w", q.Msg.Subject, err), Took: time.Since(start)}
			continue
		}
		open[n] = token
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for len(open) > 0 {
		timer.Reset(time.Until(start.Add(shortest(questions, open))))
		select {
		case r := <-arrivals:
			delete(open, r.n)
			replies[r.n] = Reply{Msg: r.msg, Took: r.at.Sub(start)}
			if isNobody(r.msg) {
				replies[r.n] = Reply{Err: ErrNobody, Took: r.at.Sub(start)}
			}
		case <-timer.C:
			a.expire(open, replies, func(n int) bool { return time.Since(start) >= questions[n].Timeout }, start)
		case <-ctx.Done():
			a.expire(open, replies, func(int) bool { return true }, start)
		}
	}
	return replies
}

func (a *Asker) expect(arrivals chan<- arrival, n int) string {
	token := strconv.FormatUint(a.last.Add(1), 36)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[token] = waiter{replies: arrivals, n: n}
	return token
}

func (a *Asker) forget(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, token)
}

// arrive runs for every reply, one at a time. It never blocks: a question's first reply has
// a place in its channel, and a second one finds nobody waiting.
func (a *Asker) arrive(msg *nats.Msg) {
	token := strings.TrimPrefix(msg.Subject, a.prefix)
	a.mu.Lock()
	w, ok := a.waiting[token]
	delete(a.waiting, token)
	a.mu.Unlock()
	if !ok {
		a.late.Add(1)
		return
	}
	w.replies <- arrival{n: w.n, msg: msg, at: time.Now()}
}

func (a *Asker) expire(open map[int]string, replies []Reply, due func(n int) bool, start time.Time) {
	for n, token := range open {
		if due(n) {
			a.forget(token)
			delete(open, n)
			replies[n] = Reply{Err: ErrLate, Took: time.Since(start)}
		}
	}
}

func shortest(questions []Question, open map[int]string) time.Duration {
	least := time.Duration(-1)
	for n := range open {
		if t := questions[n].Timeout; least < 0 || t < least {
			least = t
		}
	}
	return least
}

func isNobody(msg *nats.Msg) bool {
	return len(msg.Data) == 0 && msg.Header.Get("Status") == "503"
}
