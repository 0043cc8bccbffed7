package lanes

import (
	"cmp"
	"slices"
	"time"
)

// lane is the queue of the commands of one room. The lock of the lanes guards it.
type lane struct {
	tickets int
	passing int                // tickets that have begun and change nothing
	decider *Ticket            // the ticket that changes the room now
	waiting []*Ticket          // tickets that are to change the room, in the order of arrival
	latest  map[string]*Ticket // of each user

	storeErr error     // of the last command whose event JetStream did not store
	failedAt time.Time // when that command ended
}

// mustWait reports whether a new ticket waits for others if there are any.
func (l *lane) mustWait(t *Ticket) bool { return t.command.Changes || l.latest[t.command.User] != nil }

// add puts a ticket at the end.
func (l *lane) add(t *Ticket) {
	l.tickets++
	if t.command.User != "" {
		before := l.latest[t.command.User]
		if l.latest[t.command.User] = t; before != nil {
			t.before, before.next = before, t
		}
	}
	if t.command.Changes {
		l.waiting = append(l.waiting, t)
	}
	if l.begin(t); t.state == waiting {
		t.ready = make(chan struct{})
	}
}

// remove takes a ticket out, and begins the tickets that waited for it only.
func (l *lane) remove(t *Ticket) {
	if l.tickets--; l.tickets == 0 {
		return
	}
	switch t.state {
	case deciding:
		l.decider = nil
		if t.storeErr != nil {
			l.storeErr, l.failedAt = t.storeErr, time.Now()
		}
	case waiting:
		l.waiting = slices.DeleteFunc(l.waiting, func(o *Ticket) bool { return o == t })
	case passing:
		l.passing--
	case away:
	}
	if t.before != nil {
		t.before.next = t.next
	}
	switch {
	case t.next != nil:
		t.next.before = t.before
		l.begin(t.next)
	case t.before != nil:
		l.latest[t.command.User] = t.before
	case t.command.User != "":
		delete(l.latest, t.command.User)
	}
	l.begin(nil)
}

// upgrade makes a ticket that has begun wait to change the room, in the order of arrival.
func (l *lane) upgrade(t *Ticket) {
	l.passing--
	t.command.Changes = true
	l.wait(t)
}

// sendAway lets the next ticket change the room while another service executes the command of this
// one. The later commands of its user still wait for it.
func (l *lane) sendAway(t *Ticket) {
	if t.state == deciding {
		l.decider, t.state = nil, away
		l.begin(nil)
	}
}

// bringBack makes a ticket that was sent away wait to change the room. It reports whether it was.
func (l *lane) bringBack(t *Ticket) bool {
	if t.state != away {
		return false
	}
	l.wait(t)
	return true
}

// wait puts a ticket among those that are to change the room, in the order of arrival.
func (l *lane) wait(t *Ticket) {
	t.state, t.ready = waiting, make(chan struct{})
	at, _ := slices.BinarySearchFunc(l.waiting, t.number, func(w *Ticket, number int) int { return cmp.Compare(w.number, number) })
	l.waiting = slices.Insert(l.waiting, at, t)
	l.begin(nil)
}

// begin begins the ticket if it waits for no earlier one, and the next ticket that is to change the
// room.
func (l *lane) begin(t *Ticket) {
	if t != nil && !t.command.Changes && t.before == nil && t.state == waiting {
		l.passing++
		t.start(passing)
	}
	if l.decider != nil {
		return
	}
	first := slices.IndexFunc(l.waiting, func(t *Ticket) bool { return t.before == nil })
	if first < 0 {
		return
	}
	l.decider = l.waiting[first]
	l.waiting = slices.Delete(l.waiting, first, first+1)
	if l.decider.came.Before(l.failedAt) { // its commit would fail in the same way
		l.decider.blocked = l.storeErr
	}
	l.decider.start(deciding)
}

// start makes it the ticket's turn.
func (t *Ticket) start(turn state) {
	t.state = turn
	if t.ready != nil {
		close(t.ready)
	}
}
