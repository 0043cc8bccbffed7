package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// A batch costs the server about seven syncs, independent of its size. A single message costs one.
const (
	minBatch    = 16       // smaller batches are not faster than single messages
	maxBatch    = 512      // the server's limit is 1000
	maxBatchMsg = 16 << 10 // bytes; a larger message is published alone
)

// AppendGroup appends in groups. Messages that arrive while a batch is in flight form the next batch,
// so a server that syncs each commit syncs once for many messages. It needs a stream with a single
// copy that allows atomic batches: such a server shows no message of a batch before the whole batch
// is on disk. AppendGroup is safe for concurrent use.
type AppendGroup struct {
	js        jetstream.JetStream
	requester *Requester

	mu    sync.Mutex
	busy  bool
	queue []*groupedAppend
}

// groupedAppend is an append in a group.
type groupedAppend struct {
	ctx   context.Context
	msg   *nats.Msg
	id    string
	guard Guard
	done  chan struct{}
	seq   uint64
	err   error
}

// NewAppendGroup returns a group. The timeout of a batch is the default timeout of js.
func NewAppendGroup(js jetstream.JetStream, requester *Requester) *AppendGroup {
	return &AppendGroup{js: js, requester: requester}
}

// Append is like Requester.Append. Callers do not notice that a batch is all or nothing: if the
// server refuses a batch, each of its messages is published alone.
func (g *AppendGroup) Append(ctx context.Context, msg *nats.Msg, id string, guard Guard) (uint64, error) {
	if msg.Size() > maxBatchMsg {
		return g.requester.Append(ctx, msg, id, guard)
	}
	a := &groupedAppend{ctx: ctx, msg: msg, id: id, guard: guard, done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, a)
	if !g.busy {
		g.busy = true
		go g.run()
	}
	g.mu.Unlock()
	select {
	case <-a.done:
		return a.seq, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	}
}

// run sends batches until the queue is empty.
func (g *AppendGroup) run() {
	for batch := g.next(); batch != nil; batch = g.next() {
		if len(batch) < minBatch || !g.publishBatch(batch) {
			g.publishEach(batch)
		}
	}
}

// next takes the next batch from the queue. The server checks all guards of a batch before it
// stores a message. It would accept two messages with the same filter, so the second one stays in
// the queue.
func (g *AppendGroup) next() []*groupedAppend {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batch, later []*groupedAppend
	filters := make(map[string]bool)
	for _, a := range g.queue {
		switch {
		case a.ctx.Err() != nil: // the caller has returned
		case filters[a.guard.Filter] || len(batch) == maxBatch:
			later = append(later, a)
		default:
			filters[a.guard.Filter] = true
			batch = append(batch, a)
		}
	}
	g.queue = later
	g.busy = batch != nil
	return batch
}

// publishBatch publishes a batch. It returns false if the server refused the batch; any of the
// messages may be the cause.
func (g *AppendGroup) publishBatch(batch []*groupedAppend) bool {
	msgs := make([]*nats.Msg, len(batch))
	for n, a := range batch {
		msgs[n] = a.copy()
	}
	ack, err := jetstreamext.PublishMsgBatch(context.Background(), g.js, msgs, jetstreamext.BatchFlowControl{})
	if err != nil {
		err = classifyAppendError(err)
		if !errors.Is(err, ErrUncertain) {
			return false
		}
	}
	for n, a := range batch {
		if a.err = err; err == nil {
			a.seq = ack.Sequence - uint64(len(batch)-1-n)
		}
		close(a.done)
	}
	return true
}

// copy returns a copy of the message with the guard and the id. The original must not get the
// headers of a batch, because it may still be published alone.
func (a *groupedAppend) copy() *nats.Msg {
	return withGuard(&nats.Msg{Subject: a.msg.Subject, Data: a.msg.Data, Header: maps.Clone(a.msg.Header)}, a.id, a.guard)
}

// publishEach publishes each message alone.
func (g *AppendGroup) publishEach(batch []*groupedAppend) {
	var all sync.WaitGroup
	for _, a := range batch {
		all.Go(func() {
			a.seq, a.err = g.requester.Append(a.ctx, a.msg, a.id, a.guard)
			close(a.done)
		})
	}
	all.Wait()
}
