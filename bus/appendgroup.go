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

// A batch costs the server about seven syncs whatever its size, a message alone costs one.
const (
	leastGrouped = 16       // fewer are no slower one by one
	mostGrouped  = 512      // the server takes 1000
	groupable    = 16 << 10 // bytes of a message; a larger one goes alone
)

// AppendGroup appends in groups: what comes while one batch is on its way goes together in the
// next, so that a server that syncs each commit syncs once for many. It is for a stream without
// copies, which must allow atomic batches: a server alone shows none of a batch before all of
// it is on disk. It may be used from any number of goroutines.
type AppendGroup struct {
	js    jetstream.JetStream
	asker *Requester

	mu      sync.Mutex
	busy    bool
	waiting []*grouped
}

// grouped is an append in a group.
type grouped struct {
	ctx   context.Context
	msg   *nats.Msg
	id    string
	guard Guard
	ended chan struct{}
	seq   uint64
	err   error
}

// NewAppendGroup returns a group whose batches are waited for as long as js waits by default.
func NewAppendGroup(js jetstream.JetStream, asker *Requester) *AppendGroup {
	return &AppendGroup{js: js, asker: asker}
}

// Append is like that of an Requester. It is not felt that a batch is all or nothing: if the
// server refuses one, its messages are tried each alone.
func (g *AppendGroup) Append(ctx context.Context, msg *nats.Msg, id string, guard Guard) (uint64, error) {
	if msg.Size() > groupable {
		return g.asker.Append(ctx, msg, id, guard)
	}
	a := &grouped{ctx: ctx, msg: msg, id: id, guard: guard, ended: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, a)
	if !g.busy {
		g.busy = true
		go g.run()
	}
	g.mu.Unlock()
	select {
	case <-a.ended:
		return a.seq, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	}
}

// run sends batches until nobody waits.
func (g *AppendGroup) run() {
	for batch := g.next(); batch != nil; batch = g.next() {
		if len(batch) < leastGrouped || !g.together(batch) {
			g.alone(batch)
		}
	}
}

// next takes what is to go in one batch. The server checks the guards of a batch before it
// stores any of it: of two messages under one filter it would take both, so the second waits.
func (g *AppendGroup) next() []*grouped {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batch, later []*grouped
	filters := make(map[string]bool)
	for _, a := range g.waiting {
		switch {
		case a.ctx.Err() != nil: // nobody waits for it
		case filters[a.guard.Filter] || len(batch) == mostGrouped:
			later = append(later, a)
		default:
			filters[a.guard.Filter] = true
			batch = append(batch, a)
		}
	}
	g.waiting = later
	g.busy = batch != nil
	return batch
}

// together publishes a batch. It reports whether its messages have their answers: if not, the
// server has refused it, and any one of them may be to blame.
func (g *AppendGroup) together(batch []*grouped) bool {
	msgs := make([]*nats.Msg, len(batch))
	for n, a := range batch {
		msgs[n] = a.copy()
	}
	ack, err := jetstreamext.PublishMsgBatch(context.Background(), g.js, msgs, jetstreamext.BatchFlowControl{})
	if err != nil {
		err = sortAppendError(err)
		if !errors.Is(err, ErrUncertain) {
			return false
		}
	}
	for n, a := range batch {
		if a.err = err; err == nil {
			a.seq = ack.Sequence - uint64(len(batch)-1-n)
		}
		close(a.ended)
	}
	return true
}

// copy is the message with its guard and its id. The one given may yet go alone, without the
// headers of a batch.
func (a *grouped) copy() *nats.Msg {
	return withGuard(&nats.Msg{Subject: a.msg.Subject, Data: a.msg.Data, Header: maps.Clone(a.msg.Header)}, a.id, a.guard)
}

// alone publishes each by itself.
func (g *AppendGroup) alone(batch []*grouped) {
	var all sync.WaitGroup
	for _, a := range batch {
		all.Go(func() {
			a.seq, a.err = g.asker.Append(a.ctx, a.msg, a.id, a.guard)
			close(a.ended)
		})
	}
	all.Wait()
}
