package roomsvc

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// lane is the queue of the commands of one room. The lock of the lanes guards it.
type lane struct {
	tickets int
	passing int                // tickets that have begun and change nothing
	decider *ticket            // the ticket that changes the room now
	waiting []*ticket          // tickets that are to change the room, in the order of arrival
	latest  map[string]*ticket // of each user

	storeErr error     // of the last command whose event JetStream did not store
	failedAt time.Time // when that command ended
}

// ticket is a command's place in its lane.
type ticket struct {
	command  string
	came     time.Time
	step     atomic.Pointer[step] // what the command waits for once it has begun
	storeErr error                // why JetStream did not store its event; nil if the command did not end so
	blocked  error                // the storeErr of a command in front; this command is not tried
	user     string               // commands of one user keep their order; empty if unknown
	changes  bool                 // the command would change the room
	begun    bool                 // it is the ticket's turn
	away     bool                 // another service executes the command
	ready    chan struct{}        // closed when the ticket has begun; nil if it did not have to wait

	number       int     // in the order of arrival
	before, next *ticket // of the same user
}

// mustWait reports whether a new ticket waits for others if there are any.
func (l *lane) mustWait(t *ticket) bool { return t.changes || l.latest[t.user] != nil }

// add puts a ticket at the end.
func (l *lane) add(t *ticket) {
	l.tickets++
	if t.user != "" {
		before := l.latest[t.user]
		if l.latest[t.user] = t; before != nil {
			t.before, before.next = before, t
		}
	}
	if t.changes {
		l.waiting = append(l.waiting, t)
	}
	if l.begin(t); !t.begun {
		t.ready = make(chan struct{})
	}
}

// remove takes a ticket out, and begins the tickets that waited for it only.
func (l *lane) remove(t *ticket) {
	if l.tickets--; l.tickets == 0 {
		return
	}
	switch {
	case l.decider == t:
		l.decider = nil
		if t.storeErr != nil {
			l.storeErr, l.failedAt = t.storeErr, time.Now()
		}
	case t.away:
	case t.changes:
		l.waiting = slices.DeleteFunc(l.waiting, func(o *ticket) bool { return o == t })
	case t.begun:
		l.passing--
	}
	if t.before != nil {
		t.before.next = t.next
	}
	switch {
	case t.next != nil:
		t.next.before = t.before
		l.begin(t.next)
	case t.before != nil:
		l.latest[t.user] = t.before
	case t.user != "":
		delete(l.latest, t.user)
	}
	l.begin(nil)
}

// upgrade makes a ticket that has begun wait to change the room, in the order of arrival.
func (l *lane) upgrade(t *ticket) {
	l.passing--
	t.changes = true
	l.wait(t)
}

// sendAway lets the next ticket change the room while another service executes the command of this
// one. The later commands of its user still wait for it.
func (l *lane) sendAway(t *ticket) {
	if l.decider == t {
		l.decider, t.away = nil, true
		l.begin(nil)
	}
}

// bringBack makes a ticket that was sent away wait to change the room. It reports whether it was.
func (l *lane) bringBack(t *ticket) bool {
	if !t.away {
		return false
	}
	t.away = false
	l.wait(t)
	return true
}

// wait puts a ticket among those that are to change the room, in the order of arrival.
func (l *lane) wait(t *ticket) {
	t.begun, t.ready = false, make(chan struct{})
	at, _ := slices.BinarySearchFunc(l.waiting, t.number, func(w *ticket, number int) int { return cmp.Compare(w.number, number) })
	l.waiting = slices.Insert(l.waiting, at, t)
	l.begin(nil)
}

// begin begins the ticket if it waits for no earlier one, and the next ticket that is to change the
// room.
func (l *lane) begin(t *ticket) {
	if t != nil && !t.changes && t.before == nil && !t.begun {
		l.passing++
		t.start()
	}
	if l.decider != nil {
		return
	}
	first := slices.IndexFunc(l.waiting, func(t *ticket) bool { return t.before == nil })
	if first < 0 {
		return
	}
	l.decider = l.waiting[first]
	l.waiting = slices.Delete(l.waiting, first, first+1)
	if l.decider.came.Before(l.failedAt) { // its commit would fail in the same way
		l.decider.blocked = l.storeErr
	}
	l.decider.start()
}

func (t *ticket) start() {
	t.begun = true
	if t.ready != nil {
		close(t.ready)
	}
}
