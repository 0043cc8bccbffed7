package bus

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// lateMemory is how long a question that nobody answered in time is remembered, so that its
// reply is known for what it is.
const lateMemory = time.Minute

// Asker sends requests, many at once, and collects the replies on one wildcard inbox for the
// whole process: a subscription for each call would be several times slower. It is safe for
// concurrent use.
type Asker struct {
	nc      *nats.Conn
	sub     *nats.Subscription
	prefix  string
	surplus atomic.Uint64

	mu      sync.Mutex
	waiting map[string]waiter // by the last token of the reply subject
}

// waiter is who gets the reply to one sending of a question.
type waiter struct {
	replies chan<- arrival
	n       int // of the question
	late    func(*nats.Msg)
	// shared: several got it, so that one of them who cannot is not the last word.
	shared   bool
	declined bool // one could not
}

type arrival struct {
	n     int
	token string
	msg   *nats.Msg
	at    time.Time
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

// Surplus is the number of replies that belong to no question: a second one to a question that
// has been answered, or one that came a minute after its end.
func (a *Asker) Surplus() uint64 { return a.surplus.Load() }

// expect makes the token of a reply subject. It cannot be guessed: who is asked one question
// must not be able to answer another.
func (a *Asker) expect(w waiter) string {
	token := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[token] = w
	return token
}

func (a *Asker) forget(tokens ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, token := range tokens {
		delete(a.waiting, token)
	}
}

// remember keeps tokens whose question has ended without a reply for a while.
func (a *Asker) remember(tokens []string, late func(*nats.Msg)) {
	if len(tokens) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, token := range tokens {
		a.waiting[token] = waiter{late: late}
	}
	time.AfterFunc(lateMemory, func() { a.forget(tokens...) })
}

// arrive runs for every reply, one at a time. It never blocks: the channel of an Asking has
// room for every reply it can get.
func (a *Asker) arrive(msg *nats.Msg) {
	token := strings.TrimPrefix(msg.Subject, a.prefix)
	a.mu.Lock()
	w, ok := a.waiting[token]
	another := w.shared && isUnavailable(msg)
	if another {
		a.waiting[token] = waiter{replies: w.replies, n: w.n, shared: true, declined: true}
	} else {
		delete(a.waiting, token)
	}
	a.mu.Unlock()
	switch {
	case another && w.declined: // it is known that one cannot
	case !ok:
		a.surplus.Add(1)
	case w.replies != nil:
		w.replies <- arrival{n: w.n, token: token, msg: msg, at: time.Now()}
	case !isNobody(msg) && w.late != nil:
		w.late(msg)
	}
}

func isNobody(msg *nats.Msg) bool {
	return len(msg.Data) == 0 && msg.Header.Get("Status") == "503"
}
