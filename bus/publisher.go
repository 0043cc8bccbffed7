package bus

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// publisher sends the messages of many goroutines over one connection. The connection's lock is held
// while what it has buffered is written, and whoever publishes meanwhile would wait for it, each for
// itself. Here who finds another one sending leaves the messages to it and goes on, and
// what has come meanwhile leaves in one write.
type publisher struct {
	nc *nats.Conn

	mu      sync.Mutex
	queue   []outgoing
	spare   []outgoing // the queue before, to be used again
	sending bool
	rest    sync.WaitGroup // sending what others have left
}

// outgoing is a message, and what is called if it cannot be sent; that must not block.
type outgoing struct {
	msg    *nats.Msg
	failed func(error)
}

// publish sends messages, or leaves them to who is sending already. It does not wait for them to be
// sent then, and nobody is kept to send for others without end.
func (p *publisher) publish(all ...outgoing) {
	p.mu.Lock()
	p.queue = append(p.queue, all...)
	if p.sending {
		p.mu.Unlock()
		return
	}
	p.sending = true
	batch := p.take()
	p.mu.Unlock()
	p.send(batch)
	if p.goesOn(batch) {
		p.rest.Go(p.sendRest)
	}
}

// sendRest sends until there is nothing left.
func (p *publisher) sendRest() {
	for {
		p.mu.Lock()
		batch := p.take()
		p.mu.Unlock()
		p.send(batch)
		if !p.goesOn(batch) {
			return
		}
	}
}

func (p *publisher) take() []outgoing {
	batch := p.queue
	p.queue, p.spare = p.spare[:0], nil
	return batch
}

func (p *publisher) send(batch []outgoing) {
	for _, o := range batch {
		if err := p.nc.PublishMsg(o.msg); err != nil {
			o.failed(err)
		}
	}
}

// goesOn reports whether more has come since the batch was taken. If not, the next one who publishes
// sends it.
func (p *publisher) goesOn(sent []outgoing) bool {
	clear(sent)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare = sent
	p.sending = len(p.queue) > 0
	return p.sending
}

// wait returns when what has been left to others is sent.
func (p *publisher) wait() { p.rest.Wait() }
