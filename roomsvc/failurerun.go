package roomsvc

import (
	"sync"
	"time"

	"github.com/roombus/roombus/room"
)

// origin is the room and the user of a command.
type origin struct{ room, user string }

func originOf(c room.Command) origin {
	return origin{room: c.Request.Target(), user: room.UserID(c.Request)}
}

// run is the failures of an app in a row. An app that fails on what one user or one room brings is
// not broken for the others: errors weigh only if they come from more than one room and more than
// one user. Timeouts always do. Of calls that were in flight together one failure counts: a worker
// that dies fails them all at once.
type run struct {
	mu       sync.Mutex
	counted  time.Time // when the last failure was
	timeouts uint32
	errors   uint32
	first    origin // of the errors
	rooms    bool   // there was another room than the first
	users    bool   // and another user
}

// timeout takes note of one more, of a call that began at that time.
func (r *run) timeout(began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts(began) {
		r.timeouts++
	}
}

// failure takes note of an error. It reports whether the errors come from several rooms and users.
func (r *run) failure(from origin, began time.Time) (spread bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == (origin{}) {
		r.first = from
	}
	r.rooms = r.rooms || from.room != r.first.room
	r.users = r.users || from.user != r.first.user
	if r.counts(began) {
		r.errors++
	}
	return r.rooms && r.users
}

// counts reports whether a call was not in flight together with the last one that failed.
func (r *run) counts(began time.Time) bool {
	if began.Before(r.counted) {
		return false
	}
	r.counted = time.Now()
	return true
}

// fill makes a run of so many timeouts.
func (r *run) fill(timeouts uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeouts = timeouts
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
