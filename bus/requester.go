package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// maxEnded is the number of attempts without a reply that are kept after their request has ended, to
// recognize late replies.
const maxEnded = 1 << 14

// Requester sends many requests at once and collects the replies on one wildcard inbox for the whole
// process. A subscription for each request would be several times slower. A request may be sent more
// than once; each send is an attempt with its own reply subject. Requester is safe for concurrent use.
type Requester struct {
	out     *Batcher
	sub     *nats.Subscription
	closed  chan struct{} // closed by Close or with the connection
	prefix  string
	others  *nats.Subscription // of the exported inboxes; nil if there are none
	exports exports
	surplus atomic.Uint64
	foreign atomic.Uint64

	mu      sync.Mutex
	pending map[string]pending // by the last token of the reply subject
	ended   []string           // ring of the most recent tokens whose request has ended
	oldest  int                // index into ended
}

// pending is an attempt that may be replied to. The reply goes to the request's Requests or, once the
// request has ended, to its late function.
type pending struct {
	replies chan<- received // nil once the request has ended
	n       int             // number of the request
	late    func(*nats.Msg)
	// shared is set if several workers received the attempt. A worker that declines does not end it.
	shared   bool
	declined bool   // a worker has declined with error code 503
	exported string // name of the exported inbox for the reply; empty: the inbox of the connection
	foreign  func(by string)
}

// received is the reply to an attempt, or the error of sending it.
type received struct {
	n     int
	token string
	msg   *nats.Msg
	err   error
	at    time.Time
}

// NewRequester subscribes to a new inbox. Call Close to unsubscribe.
func NewRequester(out *Batcher) (*Requester, error) {
	r := &Requester{out: out, closed: make(chan struct{}), prefix: out.nc.NewInbox() + ".", pending: make(map[string]pending)}
	sub, err := out.nc.Subscribe(r.prefix+"*", r.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribing to the inbox: %w", err)
	}
	r.sub = sub
	sub.SetClosedHandler(func(string) { close(r.closed) })
	return r, nil
}

// exports are the parts of the subjects of exported inboxes: prefix.<name>.random.<token>.
type exports struct{ prefix, random string }

// Export opens an inbox for each name that a request may have, for replies from other accounts. The account
// of the connection can export the subjects under the prefix, and another account import those under the
// prefix and its name: then it can reply to no other request. Export must be called before the first request.
func (r *Requester) Export(prefix string) (err error) {
	r.exports = exports{prefix: prefix, random: rand.Text()}
	if r.others, err = r.out.nc.Subscribe(prefix+".*."+r.exports.random+".*", r.receive); err != nil {
		return fmt.Errorf("subscribing to the inboxes for other accounts: %w", err)
	}
	return nil
}

// inbox returns the prefix of the reply subjects of an exported inbox, or of the inbox of the connection if
// the name is empty.
func (r *Requester) inbox(name string) string {
	if name == "" {
		return r.prefix
	}
	return r.exports.prefix + "." + name + "." + r.exports.random + "."
}

// nameIn returns the name of the exported inbox of a reply, empty for the inbox of the connection.
func (r *Requester) nameIn(subject string) string {
	rest, exported := strings.CutPrefix(subject, r.exports.prefix+".")
	if !exported || r.exports.prefix == "" || strings.HasPrefix(subject, r.prefix) {
		return ""
	}
	name, _, _ := strings.Cut(rest, ".")
	return name
}

// Close unsubscribes the inboxes. Open requests time out, appends end at once.
func (r *Requester) Close() error {
	err := r.sub.Unsubscribe()
	if r.others != nil {
		err = errors.Join(err, r.others.Unsubscribe())
	}
	return err
}

// Foreign returns the number of replies in an inbox that is not the one of the request.
func (r *Requester) Foreign() uint64 { return r.foreign.Load() }

// Surplus returns the number of surplus replies: replies to an attempt that already has a reply, and
// replies that arrive so late that the attempt is no longer kept.
func (r *Requester) Surplus() uint64 { return r.surplus.Load() }

// add registers an attempt and returns the token for its reply subject. The token is random, so a
// worker that receives one request cannot reply to another one.
func (r *Requester) add(p pending) string {
	token := rand.Text()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[token] = p
	return token
}

func (r *Requester) remove(tokens ...string) {
	if len(tokens) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, token := range tokens {
		delete(r.pending, token)
	}
}

// keepEnded keeps the attempts of a request that has ended, in place of the oldest ones. A reply that
// arrives later goes to late, which is nil if the request has been answered.
func (r *Requester) keepEnded(tokens []string, late func(*nats.Msg)) {
	if len(tokens) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, token := range tokens {
		r.pending[token] = pending{late: late, shared: r.pending[token].shared, exported: r.pending[token].exported}
		if len(r.ended) < maxEnded {
			r.ended = append(r.ended, token)
			continue
		}
		delete(r.pending, r.ended[r.oldest])
		r.ended[r.oldest] = token
		r.oldest = (r.oldest + 1) % maxEnded
	}
}

// receive is called for every reply, one at a time. It never blocks: the channel of a Requests has
// room for all its replies.
func (r *Requester) receive(msg *nats.Msg) {
	token := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]
	r.mu.Lock()
	p, ok := r.pending[token]
	by := r.nameIn(msg.Subject)
	foreign := ok && by != p.exported
	declines := p.shared && isUnavailable(msg)
	switch {
	case foreign: // the reply of a worker may still come
	case declines:
		next := p
		next.declined = true
		r.pending[token] = next
	case p.shared && !isNoResponders(msg): // other workers received the attempt too, and may reply
		r.pending[token] = pending{shared: true, exported: p.exported}
	default:
		delete(r.pending, token)
	}
	r.mu.Unlock()
	switch {
	case foreign:
		r.foreign.Add(1)
		if p.foreign != nil {
			p.foreign(by)
		}
	case declines && p.declined: // the first one has been passed on
	case !ok:
		r.surplus.Add(1)
	case p.replies != nil:
		p.replies <- received{n: p.n, token: token, msg: msg, at: time.Now()}
	case p.late != nil && !isNoResponders(msg) && !declines:
		p.late(msg)
	}
}

// request sends one message and waits for its reply.
func (r *Requester) request(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	replies := make(chan received, 1)
	token := r.add(pending{replies: replies})
	msg.Reply = r.prefix + token
	r.out.publish(envelope{msg: msg, unbuffered: true, failed: func(err error) {
		r.remove(token)
		replies <- received{err: err}
	}})
	select {
	case reply := <-replies:
		return reply.msg, reply.err
	case <-ctx.Done():
		r.keepEnded([]string{token}, nil)
		return nil, ctx.Err()
	case <-r.closed:
		return nil, nats.ErrConnectionClosed
	}
}

func isNoResponders(msg *nats.Msg) bool {
	return len(msg.Data) == 0 && msg.Header.Get("Status") == "503"
}
