package appworker

import "sync"

// pool runs the handlers of post-events, a bounded number at once. Its goroutines stay: in a new
// one for each event the stack would have to grow anew each time.
type pool struct {
	size   int
	handle func(job)

	mu      sync.Mutex
	more    sync.Cond
	waiting []job
	started int // goroutines
	idle    int
	waking  bool // a goroutine that is to take what waits has not come yet
	closed  bool
	running sync.WaitGroup
}

// job is an event that may be handled.
type job struct {
	source *source
	event  *delivery
}

func newPool(size int, handle func(job)) *pool {
	p := &pool{size: size, handle: handle}
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
	p.wake()
	return true
}

// wake sees to it that what waits is taken. One goroutine at a time is woken, which wakes the next:
// where handlers are fast, few are needed.
func (p *pool) wake() {
	switch {
	case p.waking || len(p.waiting) == 0:
	case p.idle > 0:
		p.waking = true
		p.more.Signal()
	case p.started < p.size:
		p.waking = true
		p.started++
		p.running.Go(p.run)
	}
}

// run takes what waits, from when it has been woken. A handler may end its goroutine, as a test's
// FailNow does: another one takes its place.
func (p *pool) run() {
	p.mu.Lock()
	defer func() {
		p.started--
		p.wake()
		p.mu.Unlock()
	}()
	for p.waking = false; !p.closed; {
		if len(p.waiting) == 0 {
			p.idle++
			p.more.Wait()
			p.idle--
			p.waking = false
			continue
		}
		j := p.waiting[0]
		p.waiting[0] = job{}
		p.waiting = p.waiting[1:]
		p.wake()
		p.unlocked(j)
	}
}

func (p *pool) unlocked(j job) {
	p.mu.Unlock()
	defer p.mu.Lock()
	p.handle(j)
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
