package lanes

import (
	"context"
	"sync/atomic"
	"time"
)

// Ticket is a command's place in its lane. Its methods are for the goroutine that executes the
// command, except for IsAsking, which is safe for concurrent use. A command that is already
// committed has a nil Ticket: it waits for nothing.
type Ticket struct {
	command  Command
	lanes    *Lanes
	number   int // in the order of arrival
	came     time.Time
	state    state
	ready    chan struct{}        // closed when it is the ticket's turn; nil if it did not have to wait
	step     atomic.Pointer[Step] // what the command waits for once it is its turn
	storeErr error                // why JetStream did not store its event; nil if the command did not end so
	blocked  error                // the storeErr of a command in front; this command is not tried

	before, next *Ticket // of the same user
}

// state is the state of a ticket. The lock of the lanes guards it.
type state int

const (
	waiting  state = iota // for earlier tickets
	passing               // it is its turn, and it changes nothing
	deciding              // it is its turn to change the room
	away                  // another service executes the command
)

// Queued reports whether the ticket had to wait for others.
func (t *Ticket) Queued() bool { return t != nil && t.ready != nil }

// Waited returns the time since the ticket entered the lane.
func (t *Ticket) Waited() time.Duration { return time.Since(t.came) }

// Wait returns when it is the ticket's turn. A ticket that was to change nothing is checked again
// with changes after its wait, since the command before it may have made a difference. The error is
// of code unavailable if JetStream holds up the command in front or could not store its event,
// otherwise of code deadline_exceeded: the context ended before.
func (t *Ticket) Wait(ctx context.Context, changes func() bool) error {
	for t.Queued() {
		select {
		case <-t.ready:
		case <-ctx.Done():
			return tooLate(t.command.Room, t.lanes.front(t.command.Room))
		}
		if t.blocked != nil {
			return blocked(t.command.Room, t.blocked)
		}
		if t.command.Changes || !changes() {
			return nil
		}
		t.upgrade()
	}
	return nil
}

// front returns the step of the command that changes the room now, nil if there is none.
func (ls *Lanes) front(roomID string) *Step {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if d := ls.byRoom[roomID].decider; d != nil {
		return d.step.Load()
	}
	return nil
}

// upgrade makes a ticket whose turn it is wait to change its room. It keeps its place.
func (t *Ticket) upgrade() {
	t.lanes.mu.Lock()
	defer t.lanes.mu.Unlock()
	t.lanes.byRoom[t.command.Room].upgrade(t)
}

// Leave takes the ticket out of its lane, whether it is its turn or not.
func (t *Ticket) Leave() {
	if t == nil {
		return
	}
	t.lanes.mu.Lock()
	defer t.lanes.mu.Unlock()
	l := t.lanes.byRoom[t.command.Room]
	l.remove(t)
	if l.tickets == 0 {
		delete(t.lanes.byRoom, t.command.Room)
	}
}

// SendAway lets the next command change the room while another service executes this one. The later
// commands of the same user still wait for it.
func (t *Ticket) SendAway() {
	if t == nil {
		return
	}
	t.lanes.mu.Lock()
	defer t.lanes.mu.Unlock()
	t.lanes.byRoom[t.command.Room].sendAway(t)
}

// BringBack returns when it is the ticket's turn again. The error is that of Wait.
func (t *Ticket) BringBack(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.lanes.mu.Lock()
	waits := t.lanes.byRoom[t.command.Room].bringBack(t)
	t.lanes.mu.Unlock()
	if !waits {
		return nil
	}
	return t.Wait(ctx, nil)
}

// HasEarlierCopy reports whether the lane has an earlier ticket of the same command.
func (t *Ticket) HasEarlierCopy() bool {
	t.lanes.mu.Lock()
	defer t.lanes.mu.Unlock()
	for before := t.before; before != nil; before = before.before {
		if before.command.ID == t.command.ID {
			return true
		}
	}
	return false
}

// StoreFailed records that the command ends because JetStream did not store its event. The commands
// that are behind it when it leaves are not tried.
func (t *Ticket) StoreFailed(err error) {
	if t != nil {
		t.storeErr = err
	}
}

// At records the step of the command, nil for none.
func (t *Ticket) At(s *Step) {
	if t != nil {
		t.step.Store(s)
	}
}

// IsAsking reports whether the command is waiting for apps.
func (t *Ticket) IsAsking() bool {
	s := t.step.Load()
	return s != nil && s.apps != nil
}
