package appworker

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// lines keep the events of a room in order: one begins when the one before it is done, wherever
// that was. Which one that is, the event says itself; that it is done, this worker knows from
// having done it, from the ack floor of the consumer, or from another worker.
//
// It makes no difference in which order events come, or to which worker. Where it is not known
// whether the one before is done, an event waits, but not longer than patience without a word
// that somebody has it: the server moves no floor over what it has given up itself, and one event
// that is tried again and again keeps the floor below all others.
type lines struct {
	patience time.Duration

	mu    sync.Mutex
	rooms map[string]*line
	stuck map[string]*line // those whose first event waits for one that is not known to be done
	floor floor
}

// line is one room.
type line struct {
	done    []uint64    // events above the floor that are known to be done, in order
	running *delivery   // begun and not ended
	waiting []*delivery // in hand and not begun, in order
	asking  []question  // of other workers, about events that may come to this one
}

// floor is up to where everything that the consumer has delivered is done.
type floor struct {
	stream   uint64 // sequence in the stream
	delivery uint64 // and the number of the delivery
}

// question is whether an event of a room is done, and where to say so.
type question struct {
	room  string
	seq   uint64
	reply string
}

// patience is longer than an event can be in nobody's hands between two attempts, unless a
// handler has asked for that.
const patience = 5 * time.Minute

func newLines() *lines {
	return &lines{patience: patience, rooms: make(map[string]*line), stuck: make(map[string]*line)}
}

// takeResult is what becomes of an event that comes.
type takeResult int

const (
	taken   takeResult = iota
	already            // it is in hand
	isDone             // its ack has been lost
)

// take puts an event in hand. It returns the event if it can begin.
func (l *lines) take(d *delivery) (begin []*delivery, what takeResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.line(d.line)
	at, found := slices.BinarySearchFunc(ln.waiting, d.seq, func(w *delivery, seq uint64) int { return cmp.Compare(w.seq, seq) })
	switch {
	case found, ln.running != nil && ln.running.seq == d.seq:
		return nil, already
	case ln.isDone(d.seq) && d.attempt > 1:
		return nil, isDone
	}
	if n := len(ln.done); n > 0 && ln.done[n-1] >= d.seq { // an operator has set the consumer back
		ln.done = ln.done[:ln.before(d.seq)]
	}
	ln.waiting = slices.Insert(ln.waiting, at, d)
	return l.next(d.line, ln), taken
}

// end takes an event that has begun out of hand. It returns the next one if it can begin, and
// the questions that are answered if this one is done.
func (l *lines) end(d *delivery, done bool) (begin []*delivery, answered []question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.line(d.line)
	ln.running = nil
	if done {
		ln.add(d.seq)
		for _, w := range ln.waiting {
			w.idle = w.attempt - 1 // it has not been its turn before
		}
		ln.asking = slices.DeleteFunc(ln.asking, func(q question) bool {
			if q.seq == d.seq {
				answered = append(answered, q)
			}
			return q.seq == d.seq
		})
	}
	return l.next(d.line, ln), answered
}

// drop takes events that have not begun out of hand: those that the condition holds for.
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
			delete(l.stuck, id)
		}
	}
	return dropped
}

// rise takes note of the consumer's floor, and returns the events that can begin. Lines that
// the floor makes needless are forgotten.
func (l *lines) rise(to floor) (begin []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor = to
	for id, ln := range l.stuck {
		begin = append(begin, l.next(id, ln)...)
	}
	for id, ln := range l.rooms {
		ln.asking = slices.DeleteFunc(ln.asking, func(q question) bool { return q.seq <= to.stream })
		ln.done = slices.Delete(ln.done, 0, ln.before(to.stream+1))
		if ln.running == nil && len(ln.waiting) == 0 && len(ln.asking) == 0 && len(ln.done) == 0 {
			delete(l.rooms, id)
		}
	}
	return begin
}

// told takes note of what another worker has said: the event is done.
func (l *lines) told(room string, seq uint64) (begin []*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln, ok := l.rooms[room]
	if !ok {
		return nil // nobody waits for it any more
	}
	ln.add(seq)
	return l.next(room, ln)
}

// heard takes note of what another worker has said: it has the event in its hands.
func (l *lines) heard(room string, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln, ok := l.stuck[room]; ok && ln.waiting[0].previous == seq {
		ln.waiting[0].stuck = time.Now()
	}
}

// asked reports whether an event that another worker asks about is done, or here. If it is not
// known to be done, the question is kept: the event may come to this worker.
func (l *lines) asked(q question) (done, here bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.line(q.room)
	if ln.isDone(q.seq) {
		return true, false
	}
	if !slices.Contains(ln.asking, q) {
		ln.asking = append(ln.asking, q)
	}
	is := func(d *delivery) bool { return d.seq == q.seq }
	return false, ln.running != nil && is(ln.running) || slices.ContainsFunc(ln.waiting, is)
}

// questions are what other workers could say that would let events begin.
func (l *lines) questions() (all []question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, ln := range l.stuck {
		all = append(all, question{room: id, seq: ln.waiting[0].previous})
	}
	return all
}

// isStuck reports whether there are any.
func (l *lines) isStuck() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stuck) > 0
}

// held is every event in hand.
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

// next begins the first event of the line, if it may.
func (l *lines) next(id string, ln *line) []*delivery {
	delete(l.stuck, id)
	if ln.running != nil || len(ln.waiting) == 0 {
		return nil
	}
	d := ln.waiting[0]
	if !l.mayBegin(ln, d) {
		if d.stuck.IsZero() {
			d.stuck = time.Now()
		}
		if d.blind = time.Since(d.stuck) > l.patience; !d.blind {
			l.stuck[id] = ln
			return nil
		}
	}
	ln.running = d
	ln.waiting = slices.Delete(ln.waiting, 0, 1)
	return []*delivery{ln.running}
}

func (l *lines) mayBegin(ln *line, d *delivery) bool {
	return d.previous <= l.floor.stream || ln.isDone(d.previous) || d.number > 0 && d.number <= l.floor.delivery+1
}

// isDone says nothing of the events before: a worker of another version of the app may have to
// do with some that this one passes over.
func (ln *line) isDone(seq uint64) bool {
	_, found := slices.BinarySearch(ln.done, seq)
	return found
}

func (ln *line) add(seq uint64) {
	if at, found := slices.BinarySearch(ln.done, seq); !found {
		ln.done = slices.Insert(ln.done, at, seq)
	}
}

// before is how many of those that are done come before the sequence.
func (ln *line) before(seq uint64) int {
	at, _ := slices.BinarySearch(ln.done, seq)
	return at
}
