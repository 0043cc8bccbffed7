package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// maxEnded is how many sendings that have ended without a reply are remembered, so that one that comes
// after all is known for what it is.
const maxEnded = 1 << 14

// Requester sends requests, many at once, and collects the replies on one wildcard inbox for the
// whole process: a subscription for each call would be several times slower. It is safe for
// concurrent use.
type Requester struct {
	out     *Batcher
	sub     *nats.Subscription
	closed  chan struct{} // with the connection, or before
	prefix  string
	surplus atomic.Uint64

	mu      sync.Mutex
	waiting map[string]pending // by the last token of the reply subject
	ended   []string          // the latest tokens that are remembered, in a ring
	oldest  int
}

// pending is who gets the reply to one sending of a question: the question's Requests or, once it
// has ended, its late function.
type pending struct {
	replies chan<- arrived // nil once the question has ended
	n       int            // of the question
	late    func(*nats.Msg)
	// shared: several got it, so that one of them who cannot is not the last word.
	shared   bool
	declined bool // one could not
}

// arrived is a reply to a sending, or why it has not been sent.
type arrived struct {
	n     int
	token string
	msg   *nats.Msg
	err   error
	at    time.Time
}

// NewRequester subscribes to an inbox of its own. Close ends it.
func NewRequester(out *Batcher) (*Requester, error) {
	a := &Requester{out: out, closed: make(chan struct{}), prefix: out.nc.NewInbox() + ".", waiting: make(map[string]pending)}
	sub, err := out.nc.Subscribe(a.prefix+"*", a.arrive)
	if err != nil {
		return nil, fmt.Errorf("subscribing to the inbox: %w", err)
	}
	a.sub = sub
	sub.SetClosedHandler(func(string) { close(a.closed) })
	return a, nil
}

// Close gives the inbox up. Questions still open end late, appends at once.
func (a *Requester) Close() error { return a.sub.Unsubscribe() }

// Surplus is the number of replies that are one too many: to a sending that has been answered,
// or that has ended too long ago to be remembered.
func (a *Requester) Surplus() uint64 { return a.surplus.Load() }

// expect makes the token of a reply subject. It cannot be guessed: who is asked one question
// must not be able to answer another.
func (a *Requester) expect(w pending) string {
	token := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[token] = w
	return token
}

func (a *Requester) forget(tokens ...string) {
	if len(tokens) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, token := range tokens {
		delete(a.waiting, token)
	}
}

// remember keeps the tokens of a question that has ended, in the place of the oldest. Only
// what then comes to a question that nobody has answered is late.
func (a *Requester) remember(tokens []string, late func(*nats.Msg)) {
	if len(tokens) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, token := range tokens {
		a.waiting[token] = pending{late: late, shared: a.waiting[token].shared}
		if len(a.ended) < maxEnded {
			a.ended = append(a.ended, token)
			continue
		}
		delete(a.waiting, a.ended[a.oldest])
		a.ended[a.oldest] = token
		a.oldest = (a.oldest + 1) % maxEnded
	}
}

// arrive runs for every reply, one at a time. It never blocks: the channel of an Requests has
// room for every reply it can get.
func (a *Requester) arrive(msg *nats.Msg) {
	token := strings.TrimPrefix(msg.Subject, a.prefix)
	a.mu.Lock()
	w, ok := a.waiting[token]
	declines := w.shared && isUnavailable(msg)
	switch {
	case declines:
		a.waiting[token] = pending{replies: w.replies, n: w.n, late: w.late, shared: true, declined: true}
	case w.shared && !isNoResponders(msg): // others have got it too, and may answer
		a.waiting[token] = pending{shared: true}
	default:
		delete(a.waiting, token)
	}
	a.mu.Unlock()
	switch {
	case declines && w.declined: // it is known that one cannot
	case !ok:
		a.surplus.Add(1)
	case w.replies != nil:
		w.replies <- arrived{n: w.n, token: token, msg: msg, at: time.Now()}
	case w.late != nil && !isNoResponders(msg) && !declines:
		w.late(msg)
	}
}

// request sends one message and waits for the reply to it.
func (a *Requester) request(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	replies := make(chan arrived, 1)
	token := a.expect(pending{replies: replies})
	msg.Reply = a.prefix + token
	a.out.publish(envelope{msg: msg, unbuffered: true, failed: func(err error) {
		a.forget(token)
		replies <- arrived{err: err}
	}})
	select {
	case r := <-replies:
		return r.msg, r.err
	case <-ctx.Done():
		a.remember([]string{token}, nil)
		return nil, ctx.Err()
	case <-a.closed:
		return nil, nats.ErrConnectionClosed
	}
}

func isNoResponders(msg *nats.Msg) bool {
	return len(msg.Data) == 0 && msg.Header.Get("Status") == "503"
}
