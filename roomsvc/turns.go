package roomsvc

import (
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
// code deadline_exceeded if its time runs out before, or leaves too little for its apps, and of code
// unavailable if JetStream could not store the event of a command in front.
func (s *Service) turn(ctx context.Context, c room.Command, t *ticket) (release func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	roomID := c.Request.Target()
	release = func() { s.turns.leave(roomID, t) }
	err = s.turns.wait(ctx, roomID, t, func() bool {
		view, committed := s.projection.view(c)
		return committed == 0 && view.Changes(c.Request)
	})
	switch {
	case err != nil:
	case t.blocked != nil:
		err = blocked(roomID, t.blocked)
	case t.changes && s.isTooLate(ctx, c, time.Since(t.came)):
		err = tooLate(roomID, nil)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// isTooLate reports whether a command had time for its apps when it came and has too little left
// since it waited for its turn. Asking would only make the commands behind it wait in vain as well:
// behind an app that hangs they would all come too late, and its breaker would not learn of it.
func (s *Service) isTooLate(ctx context.Context, c room.Command, waited time.Duration) bool {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	needs := timeNeeded(s.apps.rounds(c.Request.Event()), s.cfg.Budget)
	return forApps(left) < needs && forApps(left+waited) >= needs
}

// turns order the commands of each room. Commands of a busy room wait for each other instead of
// fighting over the guard; no command waits for another room.
type turns struct {
	max int // commands of one room that wait, or change it

	mu    sync.Mutex
	lanes map[string]*lane // by room
}

// lane is the commands of one room.
type lane struct {
	queue    []*ticket // in the order in which they came, with those in progress
	deciding bool      // a command that changes the room is in progress
	idle     int       // commands in the queue that change nothing
	passing  int       // those of them that have begun
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
		l = &lane{}
		t.lanes[roomID] = l
	}
	for _, earlier := range l.queue {
		if earlier.isAsking() && slices.Contains(causedBy, earlier.command) {
			return room.Errorf(room.CodeInvalidRequest,
				"a handler that is asked about command %s of room %q sent this command about the same room, which would wait for it; change the room after the event", earlier.command, roomID)
		}
	}
	l.queue = append(l.queue, tk)
	if !tk.changes {
		l.idle++
	}
	l.begin()
	if len(l.queue)-l.passing > t.max {
		t.remove(roomID, l, tk)
		return room.Errorf(room.CodeOverloaded, "%d commands of room %q are waiting already", t.max, roomID)
	}
	if !tk.begun {
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
	for _, tk := range t.lanes[roomID].queue {
		if tk.begun && tk.changes {
			return tk.step.Load()
		}
	}
	return nil
}

// leave takes a ticket out of its lane, whether it has begun or not.
func (t *turns) leave(roomID string, tk *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(roomID, t.lanes[roomID], tk)
}

func (t *turns) remove(roomID string, l *lane, tk *ticket) {
	switch {
	case tk.changes && tk.begun:
		l.deciding = false
		if tk.trouble != nil {
			l.trouble, l.troubled = tk.trouble, time.Now()
		}
	case !tk.changes && tk.begun:
		l.idle--
		l.passing--
	case !tk.changes:
		l.idle--
	}
	at := slices.Index(l.queue, tk)
	l.queue = slices.Delete(l.queue, at, at+1)
	if len(l.queue) == 0 {
		delete(t.lanes, roomID)
		return
	}
	l.begin()
}

// upgrade makes a ticket one that changes its room, at the place that it has.
func (t *turns) upgrade(roomID string, tk *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tk.changes, tk.begun, tk.ready = true, false, make(chan struct{})
	l := t.lanes[roomID]
	l.idle--
	l.passing--
	l.begin()
}

// begin lets the tickets begin that wait for no earlier one.
func (l *lane) begin() {
	busy := l.deciding
	var users map[string]bool // of the earlier tickets; not needed where each waits for all before it
	if l.idle > 0 {
		users = make(map[string]bool)
	}
	for _, tk := range l.queue {
		if !tk.begun && (!tk.changes || !busy) && !users[tk.user] {
			l.admit(tk)
		}
		if busy = busy || tk.changes; busy && l.idle == 0 {
			return
		}
		if users != nil && tk.user != "" {
			users[tk.user] = true
		}
	}
}

// admit lets a ticket begin.
func (l *lane) admit(tk *ticket) {
	tk.begun = true
	if tk.changes {
		l.deciding = true
	} else {
		l.passing++
	}
	if tk.changes && tk.came.Before(l.troubled) { // it would only find out the same
		tk.blocked = l.trouble
	}
	if tk.ready != nil {
		close(tk.ready)
	}
}
