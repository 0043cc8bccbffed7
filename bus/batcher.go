package bus

import (
	"runtime"
	"sync"

	"github.com/nats-io/nats.go"
)

// Bounds of the queue's memory. Above maxQueued, publish blocks.
const (
	maxQueued = 8 << 20 // bytes
	overhead  = 1 << 10 // bytes per message for its subjects and headers
)

// Batcher sends the messages of many goroutines over one connection. The connection holds its lock
// while it writes its buffer, so goroutines that publish would wait for each other. With a Batcher one
// goroutine sends. The others add their messages to the queue and return, and all queued messages leave
// in one write. Batcher is safe for concurrent use.
type Batcher struct {
	nc *nats.Conn

	mu      sync.Mutex
	changed sync.Cond // the queue is empty, or sending has ended
	queue   []envelope
	size    int        // of the queue, in bytes
	spare   []envelope // the previous queue, for reuse
	sending bool
}

// envelope is a message to send. failed is called if it cannot be sent, and must not block.
type envelope struct {
	msg    *nats.Msg
	failed func(error)
	// unbuffered makes the send fail while the connection is down. In the connection's reconnect buffer the
	// message would wait, and leave after its sender has given up.
	unbuffered bool
}

// NewBatcher returns a Batcher for the connection. Use one for each connection.
func NewBatcher(nc *nats.Conn) *Batcher {
	b := &Batcher{nc: nc}
	b.changed.L = &b.mu
	return b
}

// publish sends the messages, or queues them if another goroutine is sending. It does not wait until
// queued messages are sent. It sends one batch at most: a new goroutine sends the messages that others
// have queued meanwhile.
func (b *Batcher) publish(all ...envelope) {
	b.mu.Lock()
	for b.size > maxQueued {
		b.changed.Wait()
	}
	b.queue = append(b.queue, all...)
	for _, e := range all {
		b.size += overhead + len(e.msg.Data)
	}
	if b.sending {
		b.mu.Unlock()
		return
	}
	b.sending = true
	b.mu.Unlock()
	runtime.Gosched() // runnable goroutines can add their messages to this write
	if b.send() {
		go b.sendRest()
	}
}

// sendRest sends until the queue is empty.
func (b *Batcher) sendRest() {
	for more := true; more; {
		more = b.send()
	}
}

// send sends the queue, and reports whether the queue has filled again. If not, it ends sending.
func (b *Batcher) send() (more bool) {
	b.mu.Lock()
	batch := b.queue
	b.queue, b.spare, b.size = b.spare[:0], nil, 0
	b.changed.Broadcast()
	b.mu.Unlock()
	for _, e := range batch {
		if err := b.sendOne(e); err != nil {
			e.failed(err)
		}
	}
	clear(batch)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spare = batch
	b.sending = len(b.queue) > 0
	if !b.sending {
		b.changed.Broadcast()
	}
	return b.sending
}

func (b *Batcher) sendOne(e envelope) error {
	if e.unbuffered && !b.nc.IsConnected() && !b.nc.IsClosed() {
		return nats.ErrConnectionReconnecting
	}
	return b.nc.PublishMsg(e.msg)
}

// wait returns when all queued messages are sent.
func (b *Batcher) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.sending {
		b.changed.Wait()
	}
}
