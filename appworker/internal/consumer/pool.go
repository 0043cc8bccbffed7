package consumer

import "sync"

// pool runs the handlers of post-events, at most size at once. Its goroutines stay, because the stack
// of a new goroutine would have to grow for each event.
type pool struct {
	size   int
	handle func(job)

	mu      sync.Mutex
	more    sync.Cond // a job waits, or the pool is closed
	waiting []job
	started int // number of goroutines
	closed  bool
	running sync.WaitGroup
}

// job is an event to handle.
type job struct {
	source *source
	event  *delivery
}

func newPool(size int, handle func(job)) *pool {
	p := &pool{size: size, handle: handle}
	p.more.L = &p.mu
	return p
}

// add queues a job. It returns false if the pool is closed. It does not block.
func (p *pool) add(j job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.waiting = append(p.waiting, j)
	if p.started < p.size {
		p.start()
	} else {
		p.more.Signal()
	}
	return true
}

func (p *pool) start() {
	p.started++
	p.running.Go(p.run)
}

// run handles jobs until the pool is closed. A handler may end the goroutine with runtime.Goexit, as
// FailNow in a test does. Then another goroutine is started if jobs wait.
func (p *pool) run() {
	p.mu.Lock()
	defer func() {
		p.started--
		if len(p.waiting) > 0 {
			p.start()
		}
		p.mu.Unlock()
	}()
	for !p.closed {
		if len(p.waiting) == 0 {
			p.more.Wait()
			continue
		}
		j := p.waiting[0]
		p.waiting[0] = job{}
		p.waiting = p.waiting[1:]
		p.handleUnlocked(j)
	}
}

func (p *pool) handleUnlocked(j job) {
	p.mu.Unlock()
	defer p.mu.Lock()
	p.handle(j)
}

// close prevents further jobs from beginning. It returns the jobs that wait.
func (p *pool) close() []job {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.more.Broadcast()
	left := p.waiting
	p.waiting = nil
	return left
}

// wait returns when no handler is running. The pool must be closed.
func (p *pool) wait() { p.running.Wait() }
