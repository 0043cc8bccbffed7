package bus

import (
	"runtime"
	"sync"

	"github.com/nats-io/nats.go"
)

// What is left to who is sending takes no more memory than about so much; then one waits.
const (
	maxLeft  = 8 << 20
	overhead = 1 << 10 // of a message: its subjects and headers
)

// Batcher sends the messages of many goroutines over one connection. The connection's lock is held
// while what it has buffered is written, and whoever publishes meanwhile would wait for it, each for
// itself. Here who finds another one sending leaves the messages to it and goes on, and
// what has come meanwhile leaves in one write.
type Batcher struct {
	nc *nats.Conn

	mu      sync.Mutex
	taken   sync.Cond // the queue has been
	queue   []envelope
	size    int        // of the queue
	spare   []envelope // the queue before, to be used again
	sending bool
}

// envelope is a message, and what is called if it cannot be sent; that must not block.
type envelope struct {
	msg    *nats.Msg
	failed func(error)
	// unbuffered: it is not sent while the connection is down. In the connection's reconnect buffer it
	// would leave when its sender does not wait for it any more.
	unbuffered bool
}

// NewBatcher returns the one for a connection: two would be in each other's way.
func NewBatcher(nc *nats.Conn) *Batcher {
	p := &Batcher{nc: nc}
	p.taken.L = &p.mu
	return p
}

// publish sends messages, or leaves them to who is sending already. It does not wait for them to be
// sent then, and nobody is kept to send for others without end.
func (p *Batcher) publish(all ...envelope) {
	p.mu.Lock()
	for p.size > maxLeft {
		p.taken.Wait()
	}
	p.queue = append(p.queue, all...)
	for _, o := range all {
		p.size += overhead + len(o.msg.Data)
	}
	if p.sending {
		p.mu.Unlock()
		return
	}
	p.sending = true
	p.mu.Unlock()
	runtime.Gosched() // whoever can run now has its messages leave in the same write
	if p.send() {
		go p.sendRest()
	}
}

// sendRest sends until nobody has left anything.
func (p *Batcher) sendRest() {
	for more := true; more; {
		more = p.send()
	}
}

// send sends what is in the queue, and reports whether there is more by then. If not, the next one
// who publishes sends it.
func (p *Batcher) send() (more bool) {
	p.mu.Lock()
	batch := p.queue
	p.queue, p.spare, p.size = p.spare[:0], nil, 0
	p.taken.Broadcast()
	p.mu.Unlock()
	for _, o := range batch {
		if err := p.sendOne(o); err != nil {
			o.failed(err)
		}
	}
	clear(batch)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare = batch
	p.sending = len(p.queue) > 0
	if !p.sending {
		p.taken.Broadcast()
	}
	return p.sending
}

func (p *Batcher) sendOne(o envelope) error {
	if o.unbuffered && !p.nc.IsConnected() && !p.nc.IsClosed() {
		return nats.ErrConnectionReconnecting
	}
	return p.nc.PublishMsg(o.msg)
}

// wait returns when what has been left to others is sent.
func (p *Batcher) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.sending {
		p.taken.Wait()
	}
}
