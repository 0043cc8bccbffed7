package appworker

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// lines keep the events of each room in order. An event begins when the previous event of its room is
// done, on any worker. The event itself names the previous event. This worker knows that the previous
// event is done if it has handled it, from the consumer's ack floor, or from another worker.
//
// Events may arrive in any order, on any worker. An event waits while the state of the previous event is
// unknown, but no longer than patience without a report that a worker holds it. There are two reasons for
// the limit. The ack floor does not move past an event that has reached its max deliveries. And one event
// that is retried again and again keeps the floor below all later events.
type lines struct {
	patience time.Duration

	mu      sync.Mutex
	rooms   map[string]*line
	blocked map[string]*line // lines whose first event waits for an event that is not known to be done
	floor   ackFloor
}

// line is one room.
type line struct {
	done    []uint64    // sequences above the floor that are known to be done, sorted
	running *delivery   // the event that has begun and not ended
	waiting []*delivery // events that have not begun, sorted by sequence
	queries []query     // of other workers, about events that may be delivered to this worker
}

// ackFloor is the position in the consumer up to which every delivered event is acknowledged.
type ackFloor struct {
	stream   uint64 // sequence in the stream
	consumer uint64 // sequence of the delivery
}

// query asks whether an event of a room is done. The answer goes to the reply subject.
type query struct {
	room  string
	seq   uint64
	reply string
}

// patience is longer than any time between two deliveries of an event, unless a handler asks for a longer
// delay.
const patience = 5 * time.Minute

func newLines() *lines {
	return &lines{patience: patience, rooms: make(map[string]*line), blocked: make(map[string]*line)}
}

// addResult is the result of adding an event.
type addResult int

const (
	added       addResult = iota
	duplicate             // the event is already held
	alreadyDone           // the event is done, and its ack was lost
)

// add adds an event. It returns the event in begin if the event can begin.
func (l *lines) add(d *delivery) (begin []*delivery, result addResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.line(d.line)
	at, found := slices.BinarySearchFunc(ln.waiting, d.seq, func(w *delivery, seq uint64) int { return cmp.Compare(w.seq, seq) })
	switch {
	case found, ln.running != nil && ln.running.seq == d.seq:
		return nil, duplicate
	case ln.isDone(d.seq) && d.attempt > 1:
		return nil, alreadyDone
	}
	if n := len(ln.done); n > 0 && ln.done[n-1] >= d.seq { // an operator has reset the consumer
		ln.done = ln.done[:ln.before(d.seq)]
	}
	ln.waiting = slices.Insert(ln.waiting, at, d)
	return l.next(d.line, ln), added
}

// end removes the running event. It returns the next event if that can begin, and the queries that are
// answered if the event is done.
func (l *lines) end(d *delivery, done bool) (begin []*delivery, answered []query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.line(d.line)
	ln.running = nil
	if done {
		ln.markDone(d.seq)
		for _, w := range ln.waiting {
			w.untried = w.attempt - 1 // the previous event was not done at the earlier deliveries
		}
		ln.queries = slices.DeleteFunc(ln.queries, func(q query) bool {
			if q.seq == d.seq {
				answered = append(answered, q)
			}
			return q.seq == d.seq
		})
	}
	return l.next(d.line, ln), answered
}

// drop removes and returns the waiting events for which the condition holds.
func (l *lines) drop(holds func(*delivery) bool) (dropped []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, ln := range l.rooms {
		ln.waiting = slices.DeleteFunc(ln.waiting, func(d *delivery) bool {
			if holds(d) {
				dropped = append(dropped, d)
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

// setFloor sets the consumer's ack floor, and returns the events that can begin. It deletes the lines
// that the floor makes unnecessary.
func (l *lines) setFloor(to ackFloor) (begin []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor = to
	for id, ln := range l.blocked {
		begin = append(begin, l.next(id, ln)...)
	}
	for id, ln := range l.rooms {
		ln.queries = slices.DeleteFunc(ln.queries, func(q query) bool { return q.seq <= to.stream })
		ln.done = slices.Delete(ln.done, 0, ln.before(to.stream+1))
		if ln.running == nil && len(ln.waiting) == 0 && len(ln.queries) == 0 && len(ln.done) == 0 {
			delete(l.rooms, id)
		}
	}
	return begin
}

// markDone records that another worker has reported the event as done. It returns the events that can begin.
func (l *lines) markDone(room string, seq uint64) (begin []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln, ok := l.rooms[room]
	if !ok {
		return nil // no event waits for it any more
	}
	ln.markDone(seq)
	return l.next(room, ln)
}

// markHeld records that another worker has reported the event as held.
func (l *lines) markHeld(room string, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln, ok := l.blocked[room]; ok && ln.waiting[0].previous == seq {
		ln.waiting[0].blockedSince = time.Now()
	}
}

// lookup answers the query of another worker: the event is done, or held by this worker. If the event is
// not known to be done, lookup keeps the query, because the event may be delivered to this worker.
func (l *lines) lookup(q query) (done, held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.line(q.room)
	if ln.isDone(q.seq) {
		return true, false
	}
	if !slices.Contains(ln.queries, q) {
		ln.queries = append(ln.queries, q)
	}
	is := func(d *delivery) bool { return d.seq == q.seq }
	return false, ln.running != nil && is(ln.running) || slices.ContainsFunc(ln.waiting, is)
}

// openQueries returns a query for each blocked line. An answer of another worker unblocks the line.
func (l *lines) openQueries() (all []query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, ln := range l.blocked {
		all = append(all, query{room: id, seq: ln.waiting[0].previous})
	}
	return all
}

// anyBlocked reports whether a line is blocked.
func (l *lines) anyBlocked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.blocked) > 0
}

// held returns all events of this worker, running or waiting.
func (l *lines) held() (all []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.rooms {
		if ln.running != nil {
			all = append(all, ln.running)
		}
		all = append(all, ln.waiting...)
	}
	return all
}

func (l *lines) line(id string) *line {
	ln, ok := l.rooms[id]
	if !ok {
		ln = &line{}
		l.rooms[id] = ln
	}
	return ln
}

// next begins the first event of the line if it may begin.
func (l *lines) next(id string, ln *line) []*delivery {
	delete(l.blocked, id)
	if ln.running != nil || len(ln.waiting) == 0 {
		return nil
	}
	d := ln.waiting[0]
	if !l.mayBegin(ln, d) {
		if d.blockedSince.IsZero() {
			d.blockedSince = time.Now()
		}
		if d.unordered = time.Since(d.blockedSince) > l.patience; !d.unordered {
			l.blocked[id] = ln
			return nil
		}
	}
	ln.running = d
	ln.waiting = slices.Delete(ln.waiting, 0, 1)
	return []*delivery{ln.running}
}

func (l *lines) mayBegin(ln *line, d *delivery) bool {
	return d.previous <= l.floor.stream || ln.isDone(d.previous) || d.consumerSeq > 0 && d.consumerSeq <= l.floor.consumer+1
}

// isDone reports whether the event is known to be done. It implies nothing about earlier events: a worker
// of another app version may handle events that this worker passes over.
func (ln *line) isDone(seq uint64) bool {
	_, found := slices.BinarySearch(ln.done, seq)
	return found
}

func (ln *line) markDone(seq uint64) {
	if at, found := slices.BinarySearch(ln.done, seq); !found {
		ln.done = slices.Insert(ln.done, at, seq)
	}
}

// before returns the number of done events before the sequence.
func (ln *line) before(seq uint64) int {
	at, _ := slices.BinarySearch(ln.done, seq)
	return at
}
