package roomsvc

import (
	"sync"

	"github.com/roombus/roombus/room"
)

// origin is the room and the user of a command.
type origin struct{ room, user string }

func originOf(c room.Command) origin {
	return origin{room: c.Request.Target(), user: room.UserID(c.Request)}
}

// run is the failures of an app in a row. An app that fails on what one user or one room brings is
// not broken for the others: errors weigh only if they come from more than one room and more than
// one user. Timeouts always do.
type run struct {
	mu       sync.Mutex
	timeouts uint32
	errors   uint32
	first    origin // of the errors
	rooms    bool   // there was another room than the first
	users    bool   // and another user
}

// timeout takes note of one more.
func (r *run) timeout() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeouts++
}

// failure takes note of an error. It reports whether the errors come from several rooms and users.
func (r *run) failure(from origin) (spread bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.errors == 0 {
		r.first = from
	}
	r.errors++
	r.rooms = r.rooms || from.room != r.first.room
	r.users = r.users || from.user != r.first.user
	return r.rooms && r.users
}

// weight is how many failures in a row there are that say that the app is broken.
func (r *run) weight() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rooms && r.users {
		return r.timeouts + r.errors
	}
	return r.timeouts
}

// end begins a new run, after a success or when the breaker has changed its state.
func (r *run) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeouts, r.errors, r.first, r.rooms, r.users = 0, 0, origin{}, false, false
}
