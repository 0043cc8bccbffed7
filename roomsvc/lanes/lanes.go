package lanes

import (
	"slices"
	"sync"
	"time"

	"github.com/roombus/roombus/room"
)

// Lanes holds one lane for each room with commands. Commands of a busy room wait for each other
// instead of competing for the guard. No command waits for another room. Lanes is safe for
// concurrent use.
type Lanes struct {
	max int // commands that wait for one room or change it

	mu     sync.Mutex
	byRoom map[string]*lane
	count  int // of tickets so far
}

// New returns lanes in which at most max commands wait for one room or change it.
func New(max int) *Lanes { return &Lanes{max: max, byRoom: make(map[string]*lane)} }

// Command is a command that enters the lane of its room.
type Command struct {
	ID, Room string
	User     string // commands of one user keep their order; empty if unknown
	Changes  bool   // the command would change the room
	// CausedBy are the commands that led to it. If apps are deciding one of them now, that command
	// cannot end before the handler that sent this one does.
	CausedBy []string
}

// Enter puts a command at the end of its room's lane. It is its turn at once if it need not wait.
// The error is of code overloaded if too many commands wait, invalid_request for a command that
// would wait for itself.
func (ls *Lanes) Enter(c Command) (*Ticket, error) {
	t := &Ticket{command: c, lanes: ls}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.byRoom[c.Room]
	if !ok {
		l = &lane{latest: make(map[string]*Ticket)}
		ls.byRoom[c.Room] = l
	}
	if d := l.decider; d != nil && l.mustWait(t) && d.IsAsking() && slices.Contains(c.CausedBy, d.command.ID) {
		return nil, room.Errorf(room.CodeInvalidRequest,
			"a handler that is asked about command %s of room %q sent this command about the same room, which would wait for it; change the room after the event", d.command.ID, c.Room)
	}
	if l.mustWait(t) && l.tickets-l.passing >= ls.max {
		return nil, room.Errorf(room.CodeOverloaded, "%d commands of room %q are waiting already", ls.max, c.Room)
	}
	ls.count++
	t.number, t.came = ls.count, time.Now()
	l.add(t)
	return t, nil
}

// Len returns the number of tickets in the lane of a room.
func (ls *Lanes) Len(roomID string) int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, ok := ls.byRoom[roomID]; ok {
		return l.tickets
	}
	return 0
}
