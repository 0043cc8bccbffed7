package roomsvc

import (
	"context"
	"slices"
	"sync"

	"github.com/roombus/roombus/room"
)

// turn returns when it is the command's turn to change its room. A command that would change
// nothing needs none: it must not wait for the apps that others are asking.
func (s *Service) turn(ctx context.Context, c room.Command) (release func(), err error) {
	view, committed := s.projection.view(c)
	if committed != 0 || !view.Changes(c.Request) {
		return func() {}, nil
	}
	return s.turns.take(ctx, c.Request.Target())
}

// turns lets the commands of one room go one after the other, in the order in which they
// came. Commands of a busy room wait for each other instead of fighting over the guard; no
// command waits for another room.
type turns struct {
	max int // commands of one room, the one that has its turn included

	mu    sync.Mutex
	queue map[string][]chan struct{} // by room that a command has its turn in: those that wait for theirs
}

func newTurns(max int) *turns {
	return &turns{max: max, queue: make(map[string][]chan struct{})}
}

// take returns when it is the caller's turn, who must call release in the end. It returns an
// error of code overloaded at once if too many wait, deadline_exceeded if the context ends.
func (t *turns) take(ctx context.Context, roomID string) (release func(), err error) {
	t.mu.Lock()
	q, busy := t.queue[roomID]
	if len(q)+1 >= t.max && busy {
		t.mu.Unlock()
		return nil, room.Errorf(room.CodeOverloaded, "%d commands of room %q are waiting already", t.max, roomID)
	}
	release = func() { t.pass(roomID) }
	if !busy {
		t.queue[roomID] = nil
		t.mu.Unlock()
		return release, nil
	}
	mine := make(chan struct{})
	t.queue[roomID] = append(q, mine)
	t.mu.Unlock()

	select {
	case <-mine:
		return release, nil
	case <-ctx.Done():
		t.leave(roomID, mine)
		return nil, room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out behind other commands of room %q", roomID)
	}
}

// pass gives the turn to the next command.
func (t *turns) pass(roomID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queue[roomID]
	if len(q) == 0 {
		delete(t.queue, roomID)
		return
	}
	t.queue[roomID] = q[1:]
	close(q[0])
}

// leave gives the place in the queue up, or the turn if it has come meanwhile.
func (t *turns) leave(roomID string, mine chan struct{}) {
	t.mu.Lock()
	q := t.queue[roomID]
	at := slices.Index(q, mine)
	if at >= 0 {
		t.queue[roomID] = slices.Delete(q, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 {
		t.pass(roomID)
	}
}
