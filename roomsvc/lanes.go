package roomsvc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
)

// enterLane puts a command into the lane of its room. A command that would change the room waits
// for all earlier commands that would. Any command waits for the earlier commands of its own user.
// So a command that changes nothing does not wait while apps decide another user's command, and a
// leave does not overtake the join before it. A command that is already committed gets no ticket:
// it is answered with its first result. The error is of code overloaded if too many commands wait,
// invalid_request for a command that would wait for itself.
func (s *Service) enterLane(c rules.Command) (*ticket, error) {
	view, committed := s.projection.View(c)
	if committed != 0 {
		return nil, nil
	}
	t := &ticket{command: c.ID, came: time.Now(), user: rules.UserID(c.Request), changes: view.Changes(c.Request)}
	return t, s.lanes.enter(c.Request.Target(), t, c.CausedBy)
}

// awaitTurn returns when it is the command's turn. The caller calls release in the end. The error
// is of code deadline_exceeded if the command's time runs out before, or leaves too little for an
// app that hangs. It is of code unavailable if JetStream could not store the event of a command in
// front.
func (s *Service) awaitTurn(ctx context.Context, c rules.Command, t *ticket) (release func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	roomID := c.Request.Target()
	release = func() { s.lanes.leave(roomID, t) }
	if t.ready == nil {
		return release, nil // it did not have to wait
	}
	look := func() (changes, committed bool) {
		view, seq := s.projection.View(c)
		return seq == 0 && view.Changes(c.Request), seq != 0
	}
	err = s.lanes.wait(ctx, roomID, t, func() bool { changes, _ := look(); return changes })
	changes, committed := look()
	switch {
	case committed:
		return release, nil // the command was sent twice, and its first copy is done
	case err != nil && s.lanes.hasEarlierCopy(t):
		err = unknown() // the first copy may still commit
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

// isTooLate reports whether a command had time for the apps that hang when it came, and has too
// little left after the wait for its turn. If it asked those apps, the commands behind it would
// also come too late, and the breakers of the apps would not count a timeout.
func (s *Service) isTooLate(ctx context.Context, c rules.Command, waited time.Duration) bool {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	needed := s.hooks.FairTimeOfHanging(c.Request.Event())
	return hooks.ForApps(left) < needed && hooks.ForApps(left+waited) >= needed
}

// lanes holds one lane for each room with commands. Commands of a busy room wait for each other
// instead of competing for the guard. No command waits for another room.
type lanes struct {
	max int // commands that wait for one room or change it

	mu     sync.Mutex
	byRoom map[string]*lane
	count  int // of tickets so far
}

func newLanes(max int) *lanes { return &lanes{max: max, byRoom: make(map[string]*lane)} }

// enter puts a ticket at the end of its room's lane, and begins it if it need not wait. causedBy
// are the commands that led to it. If apps are deciding one of them now, that command cannot end
// before the handler that sent this one does.
func (ls *lanes) enter(roomID string, t *ticket, causedBy []string) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.byRoom[roomID]
	if !ok {
		l = &lane{latest: make(map[string]*ticket)}
		ls.byRoom[roomID] = l
	}
	if d := l.decider; d != nil && l.mustWait(t) && d.isAsking() && slices.Contains(causedBy, d.command) {
		return room.Errorf(room.CodeInvalidRequest,
			"a handler that is asked about command %s of room %q sent this command about the same room, which would wait for it; change the room after the event", d.command, roomID)
	}
	if l.mustWait(t) && l.tickets-l.passing >= ls.max {
		return room.Errorf(room.CodeOverloaded, "%d commands of room %q are waiting already", ls.max, roomID)
	}
	ls.count++
	t.number = ls.count
	l.add(t)
	return nil
}

// wait returns when it is the ticket's turn. A ticket that was to change nothing is checked again
// with changes after its wait, since the command before it may have made a difference. The error
// says that the context ended before. Its code is unavailable if JetStream holds up the command in
// front, otherwise deadline_exceeded.
func (ls *lanes) wait(ctx context.Context, roomID string, t *ticket, changes func() bool) error {
	for t.ready != nil {
		select {
		case <-t.ready:
		case <-ctx.Done():
			return tooLate(roomID, ls.front(roomID))
		}
		if t.changes || !changes() {
			break
		}
		ls.upgrade(roomID, t)
	}
	return nil
}

// front returns the step of the command that changes the room now, nil if there is none.
func (ls *lanes) front(roomID string) *step {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if d := ls.byRoom[roomID].decider; d != nil {
		return d.step.Load()
	}
	return nil
}

// leave takes a ticket out of its lane, whether it has begun or not.
func (ls *lanes) leave(roomID string, t *ticket) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.byRoom[roomID]
	l.remove(t)
	if l.tickets == 0 {
		delete(ls.byRoom, roomID)
	}
}

// upgrade makes a ticket that has begun wait to change its room. It keeps its place.
func (ls *lanes) upgrade(roomID string, t *ticket) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.byRoom[roomID].upgrade(t)
}

// sendAway lets the next command change the room while another service executes this one.
func (ls *lanes) sendAway(roomID string, t *ticket) {
	if t == nil {
		return
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.byRoom[roomID].sendAway(t)
}

// bringBack returns when it is the ticket's turn again. The error is that of wait, or of code
// unavailable if JetStream could not store the event of a command in front.
func (ls *lanes) bringBack(ctx context.Context, roomID string, t *ticket) error {
	if t == nil {
		return nil
	}
	ls.mu.Lock()
	waits := ls.byRoom[roomID].bringBack(t)
	ls.mu.Unlock()
	if !waits {
		return nil
	}
	if err := ls.wait(ctx, roomID, t, nil); err != nil {
		return err
	}
	if t.blocked != nil {
		return blocked(roomID, t.blocked)
	}
	return nil
}

// hasEarlierCopy reports whether the lane has an earlier ticket of the same command.
func (ls *lanes) hasEarlierCopy(t *ticket) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for before := t.before; before != nil; before = before.before {
		if before.command == t.command {
			return true
		}
	}
	return false
}
