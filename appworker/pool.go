package appworker

import "sync"

// pool runs the handlers of post-events, a bounded number at once. Its goroutines stay: in a new
// one for each event the stack would have to grow anew each time.
type pool struct {
	size int

	mu      sync.Mutex
	more    sync.Cond
	waiting []job
	started int // goroutines
	idle    int
	closed  bool
	running sync.WaitGroup
}

// job is an event that may be handled.
type job struct {
	source *source
	event  *delivery
}

func newPool(size int) *pool {
	p := &pool{size: size}
	p.more.L = &p.mu
	return p
}

// add has an event handled, unless the pool is closed. It does not wait.
func (p *pool) add(j job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.waiting = append(p.waiting, j)
	switch {
	case p.idle > 0:
		p.more.Signal()
	case p.started < p.size:
		p.started++
		p.running.Go(p.run)
	}
	return true
}

func (p *pool) run() {
	for j, ok := p.next(); ok; j, ok = p.next() {
		j.source.run(j.event)
	}
}

func (p *pool) next() (j job, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) == 0 && !p.closed {
		p.idle++
		p.more.Wait()
		p.idle--
	}
	if p.closed {
		return j, false
	}
	j, p.waiting[0] = p.waiting[0], job{}
	p.waiting = p.waiting[1:]
	return j, true
}

// close lets nothing more begin. It returns what waits.
func (p *pool) close() []job {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.more.Broadcast()
	left := p.waiting
	p.waiting = nil
	return left
}

// wait returns when no handler runs any more; the pool must be closed.
func (p *pool) wait() { p.running.Wait() }
