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
	c.MaxBytes = 0 // the draft is not for use
	if draft, _ := room.Decide(view, c); draft == nil || committed != 0 {
		return func() {}, nil
	}
	return s.turns.take(ctx, c.Request.Target())
}

// turns lets the commands of one room go one after the other, in the order in which they
// came. Commands of a busy room wait for each other instead of fighting over the guard; no
// command waits for another room.
type turns struct {
	max int // commands of one room, the one whose turn it is included

	mu    sync.Mutex
	queue map[string][]chan struct{} // by room; the first has its turn
}

func newTurns(max int) *turns {
	return &turns{max: max, queue: make(map[string][]chan struct{})}
}

// take returns when it is the caller's turn, who must call release in the end. It returns an
// error of code overloaded at once if too many wait, deadline_exceeded if the context ends.
func (t *turns) take(ctx context.Context, roomID string) (release func(), err error) {
	mine := make(chan struct{})
	t.mu.Lock()
	if len(t.queue[roomID]) >= t.max {
		t.mu.Unlock()
		return nil, room.Errorf(room.CodeOverloaded, "%d commands of room %q are waiting already", t.max, roomID)
	}
	t.queue[roomID] = append(t.queue[roomID], mine)
	if len(t.queue[roomID]) == 1 {
		close(mine)
	}
	t.mu.Unlock()

	release = func() { t.leave(roomID, mine) }
	select {
	case <-mine:
		return release, nil
	case <-ctx.Done():
		release()
		return nil, room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out behind other commands of room %q", roomID)
	}
}

// leave gives the turn, or the place in the queue, up.
func (t *turns) leave(roomID string, mine chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queue[roomID]
	at := slices.Index(q, mine)
	q = slices.Delete(q, at, at+1)
	if len(q) == 0 {
		delete(t.queue, roomID)
		return
	}
	t.queue[roomID] = q
	if at == 0 {
		close(q[0])
	}
}
