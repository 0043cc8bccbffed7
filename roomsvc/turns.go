package roomsvc

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roombus/roombus/room"
)

// queue gives a command its place among those of its room: a command that would change the room
// waits for all earlier ones that do; any command waits for the earlier ones of its own user. So a
// command that changes nothing waits for no app that another user's command asks, and a leave does
// not overtake the join before it. A command that was done before has none, and is answered as it
// was. The error is of code overloaded if too many wait, invalid_request for a command that would
// wait for itself.
func (s *Service) queue(c room.Command) (*ticket, error) {
	view, committed := s.projection.view(c)
	if committed != 0 {
		return nil, nil
	}
	t := &ticket{command: c.ID, came: time.Now(), user: room.UserID(c.Request), changes: view.Changes(c.Request)}
	return t, s.turns.enter(c.Request.Target(), t, c.CausedBy)
}

// turn returns when it is the command's turn. The caller calls release in the end. The error is of
// code deadline_exceeded if its time runs out before, or leaves too little for an app that hangs, and of
// code unavailable if JetStream could not store the event of a command in front.
func (s *Service) turn(ctx context.Context, c room.Command, t *ticket) (release func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	roomID := c.Request.Target()
	release = func() { s.turns.leave(roomID, t) }
	if t.ready == nil {
		return release, nil // it did not have to wait
	}
	look := func() (changes, committed bool) {
		view, seq := s.projection.view(c)
		return seq == 0 && view.Changes(c.Request), seq != 0
	}
	err = s.turns.wait(ctx, roomID, t, func() bool { changes, _ := look(); return changes })
	changes, committed := look()
	switch {
	case committed:
		return release, nil // it was sent twice, and the other one has done it
	case err != nil && s.turns.has(t):
		err = unknown() // the other one may do it yet
	case err == nil && t.blocked != nil:
		err = blocked(roomID, t.blocked)
	case err == nil && changes && s.isTooLate(ctx, c, time.Since(t.came)):
		err = tooLate(roomID, nil)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// isTooLate reports whether a command had time for the apps that hang when it came, and has too little
// left since it waited for its turn. Asking would only make the commands behind it wait in vain as
// well: they would all come too late, and the apps' breakers would not learn of it.
func (s *Service) isTooLate(ctx context.Context, c room.Command, waited time.Duration) bool {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	needs := timeNeeded(s.apps.rounds(c.Request.Event()), func(k *contact) bool { return k.circuit.run.hangs() })
	return forApps(left) < needs && forApps(left+waited) >= needs
}

// turns order the commands of each room. Commands of a busy room wait for each other instead of
// fighting over the guard; no command waits for another room.
type turns struct {
	max int // commands of one room that wait, or change it

	mu    sync.Mutex
	lanes map[string]*lane // by room
	count int              // of tickets so far
}

// lane is the commands of one room.
type lane struct {
	tickets int
	passing int                // tickets that have begun and change nothing
	decider *ticket            // the one that changes the room now
	waiting []*ticket          // those that are to change it, in the order in which they came
	latest  map[string]*ticket // of each user

	trouble  error     // of the last command that JetStream did not store the event of
	troubled time.Time // when that command ended
}

// ticket is a command's place in its lane.
type ticket struct {
	command string
	came    time.Time
	step    atomic.Pointer[step] // what it waits for when it is its turn
	trouble error                // why JetStream did not store its event, if that is how it ended
	blocked error                // the trouble of a command in front; this one is not to be tried
	user    string               // whose commands keep their order; empty if it is not known
	changes bool                 // the command would change the room
	begun   bool                 // it is its turn
	ready   chan struct{}        // closed when it has begun; nil if it did not have to wait

	number       int     // in the order in which tickets came
	before, next *ticket // of the same user
}

func newTurns(max int) *turns { return &turns{max: max, lanes: make(map[string]*lane)} }

// enter puts a ticket at the end of its room's lane, and begins it if it need not wait. causedBy are
// the commands that led to it: one about which apps are being asked now will not end before the
// handler that sent this one does.
func (t *turns) enter(roomID string, tk *ticket, causedBy []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.lanes[roomID]
	if !ok {
		l = &lane{latest: make(map[string]*ticket)}
		t.lanes[roomID] = l
	}
	before := l.latest[tk.user]
	if d := l.decider; d != nil && (tk.changes || before != nil) && d.isAsking() && slices.Contains(causedBy, d.command) {
		return room.Errorf(room.CodeInvalidRequest,
			"a handler that is asked about command %s of room %q sent this command about the same room, which would wait for it; change the room after the event", d.command, roomID)
	}
	if waits := tk.changes || before != nil; waits && l.tickets-l.passing >= t.max {
		return room.Errorf(room.CodeOverloaded, "%d commands of room %q are waiting already", t.max, roomID)
	}
	t.count++
	tk.number = t.count
	l.tickets++
	if tk.user != "" {
		if l.latest[tk.user] = tk; before != nil {
			tk.before, before.next = before, tk
		}
	}
	if tk.changes {
		l.waiting = append(l.waiting, tk)
	}
	if l.begin(tk); !tk.begun {
		tk.ready = make(chan struct{})
	}
	return nil
}

// wait returns when it is the ticket's turn. A command that waited and was to change nothing is
// looked at again, with changes: the one before it may have made a difference. The error, of code
// deadline_exceeded or, if JetStream holds up the command in front, unavailable, says that the context
// ended before.
func (t *turns) wait(ctx context.Context, roomID string, tk *ticket, changes func() bool) error {
	for tk.ready != nil {
		select {
		case <-tk.ready:
		case <-ctx.Done():
			return tooLate(roomID, t.front(roomID))
		}
		if tk.changes || !changes() {
			break
		}
		t.upgrade(roomID, tk)
	}
	return nil
}

// front is what the command waits for that changes the room now, nil if there is none.
func (t *turns) front(roomID string) *step {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.lanes[roomID].decider; d != nil {
		return d.step.Load()
	}
	return nil
}

// leave takes a ticket out of its lane, whether it has begun or not.
func (t *turns) leave(roomID string, tk *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[roomID]
	if l.tickets--; l.tickets == 0 {
		delete(t.lanes, roomID)
		return
	}
	switch {
	case l.decider == tk:
		l.decider = nil
		if tk.trouble != nil {
			l.trouble, l.troubled = tk.trouble, time.Now()
		}
	case tk.changes:
		l.waiting = slices.DeleteFunc(l.waiting, func(o *ticket) bool { return o == tk })
	case tk.begun:
		l.passing--
	}
	if tk.before != nil {
		tk.before.next = tk.next
	}
	switch {
	case tk.next != nil:
		tk.next.before = tk.before
		l.begin(tk.next)
	case tk.before != nil:
		l.latest[tk.user] = tk.before
	case tk.user != "":
		delete(l.latest, tk.user)
	}
	l.begin(nil)
}

// upgrade makes a ticket that has begun one that changes its room, at the place that it has.
func (t *turns) upgrade(roomID string, tk *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[roomID]
	l.passing--
	tk.changes, tk.begun, tk.ready = true, false, make(chan struct{})
	at, _ := slices.BinarySearchFunc(l.waiting, tk.number, func(w *ticket, number int) int { return cmp.Compare(w.number, number) })
	l.waiting = slices.Insert(l.waiting, at, tk)
	l.begin(nil)
}

// has reports whether the lane has another ticket of the same command.
func (t *turns) has(tk *ticket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for before := tk.before; before != nil; before = before.before {
		if before.command == tk.command {
			return true
		}
	}
	return false
}

// begin lets a ticket begin if it waits for no earlier one, and the first of those that are to change
// the room.
func (l *lane) begin(tk *ticket) {
	if tk != nil && !tk.changes && tk.before == nil && !tk.begun {
		l.passing++
		tk.start()
	}
	if len(l.waiting) == 0 || l.decider != nil || l.waiting[0].before != nil {
		return
	}
	l.decider = l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	if l.decider.came.Before(l.troubled) { // it would only find out the same
		l.decider.blocked = l.trouble
	}
	l.decider.start()
}

func (tk *ticket) start() {
	tk.begun = true
	if tk.ready != nil {
		close(tk.ready)
	}
}
