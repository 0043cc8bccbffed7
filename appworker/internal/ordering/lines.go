package ordering

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Lines keep the events of each room in order. An event begins when the previous event of its room is
// done, on any worker. The event itself names the previous event. This worker knows that the previous
// event is done if it has handled it, from the consumer's ack floor, or from another worker.
//
// Events may arrive in any order, on any worker. An event waits while the state of the previous event is
// unknown, but no longer than patience without a report that a worker holds it. There are two reasons for
// the limit. The ack floor does not move past an event that has reached its max deliveries. And one event
// that is retried again and again keeps the floor below all later events.
type Lines[E Event] struct {
	mu      sync.Mutex
	rooms   map[string]*line[E]
	blocked map[string]*line[E] // lines whose first event waits for an event that is not known to be done
	floor   Floor
}

// Floor is the position in the consumer up to which every delivered event is acknowledged.
type Floor struct {
	Stream   uint64 // sequence in the stream
	Consumer uint64 // sequence of the delivery
}

// Query asks whether an event of a room is done. The answer goes to the reply subject.
type Query struct {
	Room  string
	Seq   uint64
	Reply string
}

// patience is longer than any time between two deliveries of an event, unless a handler asks for a longer
// delay.
const patience = 5 * time.Minute

// New returns lines without events.
func New[E Event]() *Lines[E] {
	return &Lines[E]{rooms: make(map[string]*line[E]), blocked: make(map[string]*line[E])}
}

// Result is the result of adding an event.
type Result int

// The results of Add.
const (
	Added       Result = iota
	Duplicate          // the event is already held
	AlreadyDone        // the event is done, and its ack was lost
)

// Add adds an event. It returns the event in begin if the event can begin.
func (l *Lines[E]) Add(e E) (begin []E, result Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := e.Order()
	ln := l.line(d.Line)
	at, found := slices.BinarySearchFunc(ln.waiting, d.Seq, func(w E, seq uint64) int { return cmp.Compare(w.Order().Seq, seq) })
	switch {
	case found, ln.isRunning() && ln.running.Order().Seq == d.Seq:
		return nil, Duplicate
	case ln.isDone(d.Seq) && d.Attempt > 1:
		return nil, AlreadyDone
	}
	if n := len(ln.done); n > 0 && ln.done[n-1] >= d.Seq { // an operator has reset the consumer
		ln.done = ln.done[:ln.before(d.Seq)]
	}
	ln.waiting = slices.Insert(ln.waiting, at, e)
	return l.next(d.Line, ln), Added
}

// End removes the running event. It returns the next event if that can begin, and the queries that are
// answered if the event is done.
func (l *Lines[E]) End(e E, done bool) (begin []E, answered []Query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var none E
	d := e.Order()
	ln := l.line(d.Line)
	ln.running = none
	if done {
		ln.markDone(d.Seq)
		ln.rememberRedelivered(d.Seq, d.Attempt)
		for _, w := range ln.waiting {
			w.Order().Untried = w.Order().Attempt - 1 // the previous event was not done at the earlier deliveries
		}
		ln.queries = slices.DeleteFunc(ln.queries, func(q Query) bool {
			if q.Seq == d.Seq {
				answered = append(answered, q)
			}
			return q.Seq == d.Seq
		})
	} else if ln.redelivered.seq == d.Previous {
		ln.redelivered = redelivered{} // the next delivery of this event is no longer its first try
	}
	return l.next(d.Line, ln), answered
}

// Drop removes and returns the waiting events for which the condition holds.
func (l *Lines[E]) Drop(holds func(E) bool) (dropped []E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, ln := range l.rooms {
		ln.waiting = slices.DeleteFunc(ln.waiting, func(e E) bool {
			if holds(e) {
				dropped = append(dropped, e)
				return true
			}
			return false
		})
		if len(ln.waiting) == 0 {
			delete(l.blocked, id)
		}
	}
	return dropped
}

// SetFloor sets the consumer's ack floor, and returns the events that can begin. It deletes the lines
// that the floor makes unnecessary.
func (l *Lines[E]) SetFloor(to Floor) (begin []E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor = to
	for id, ln := range l.blocked {
		begin = append(begin, l.next(id, ln)...)
	}
	for id, ln := range l.rooms {
		ln.queries = slices.DeleteFunc(ln.queries, func(q Query) bool { return q.Seq <= to.Stream })
		ln.done = slices.Delete(ln.done, 0, ln.before(to.Stream+1))
		if ln.isEmpty() && !ln.remembers() {
			delete(l.rooms, id)
		}
	}
	return begin
}

// MarkDone records that another worker has reported the event as done, at the given delivery, or 0 if that
// is unknown. It returns the events that can begin.
func (l *Lines[E]) MarkDone(room string, seq, attempt uint64) (begin []E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln, ok := l.rooms[room]
	if !ok {
		return nil // no event waits for it any more
	}
	ln.markDone(seq)
	ln.rememberRedelivered(seq, attempt)
	return l.next(room, ln)
}

// MarkHeld records that another worker has reported the event as held.
func (l *Lines[E]) MarkHeld(room string, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln, ok := l.blocked[room]; ok && ln.waiting[0].Order().Previous == seq {
		ln.waiting[0].Order().blockedSince = time.Now()
	}
}

// Known is what a worker knows of an event.
type Known struct {
	Done    bool
	Attempt uint64 // number of deliveries when it was done; 0 if unknown
	Held    bool   // the worker holds it
}

// Lookup answers the query of another worker. If the event is not known to be done, Lookup keeps the query,
// because the event may be delivered to this worker.
func (l *Lines[E]) Lookup(q Query) Known {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.line(q.Room)
	if ln.isDone(q.Seq) {
		return Known{Done: true, Attempt: ln.attemptOf(q.Seq)}
	}
	if !slices.Contains(ln.queries, q) {
		ln.queries = append(ln.queries, q)
	}
	is := func(e E) bool { return e.Order().Seq == q.Seq }
	return Known{Held: ln.isRunning() && is(ln.running) || slices.ContainsFunc(ln.waiting, is)}
}

// OpenQueries returns a query for each blocked line. An answer of another worker unblocks the line.
func (l *Lines[E]) OpenQueries() (all []Query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, ln := range l.blocked {
		all = append(all, Query{Room: id, Seq: ln.waiting[0].Order().Previous})
	}
	return all
}

// AnyBlocked reports whether a line is blocked.
func (l *Lines[E]) AnyBlocked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.blocked) > 0
}

// Held returns all events of this worker, running or waiting.
func (l *Lines[E]) Held() (all []E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.rooms {
		if ln.isRunning() {
			all = append(all, ln.running)
		}
		all = append(all, ln.waiting...)
	}
	return all
}

func (l *Lines[E]) line(id string) *line[E] {
	ln, ok := l.rooms[id]
	if !ok {
		ln = &line[E]{}
		l.rooms[id] = ln
	}
	return ln
}

// next begins the first event of the line if it may begin.
func (l *Lines[E]) next(id string, ln *line[E]) []E {
	delete(l.blocked, id)
	if ln.isRunning() || len(ln.waiting) == 0 {
		return nil
	}
	e := ln.waiting[0]
	d := e.Order()
	if !l.mayBegin(ln, d) {
		if d.blockedSince.IsZero() {
			d.blockedSince = time.Now()
		}
		if d.Unordered = time.Since(d.blockedSince) > patience; !d.Unordered {
			l.blocked[id] = ln
			return nil
		}
	}
	if d.Untried == 0 {
		d.Untried = ln.untried(d)
	}
	ln.running = e
	ln.waiting = slices.Delete(ln.waiting, 0, 1)
	return []E{e}
}

func (l *Lines[E]) mayBegin(ln *line[E], d *Position) bool {
	return d.Previous <= l.floor.Stream || ln.isDone(d.Previous) || d.ConsumerSeq > 0 && d.ConsumerSeq <= l.floor.Consumer+1
}
