package hooks

import (
	"sync"
	"time"

	"github.com/roombus/roombus/room/rules"
)

// origin is the room and the user of a command.
type origin struct{ room, user string }

func originOf(c rules.Command) origin {
	return origin{room: c.Request.Target(), user: rules.UserID(c.Request)}
}

// failureRun is a series of failures of an app. An app that fails on the input of one user or one
// room is not broken for the others. So errors weigh only if they come from more than one room and
// more than one user, and the errors of one user or room weigh at most half of what opens the
// breaker. Timeouts always weigh. Of calls that were in flight together one failure counts, since a
// worker that dies fails them all at once.
type failureRun struct {
	most     uint32 // maximum weight of the errors of one user or room; 0: one
	mu       sync.Mutex
	counted  time.Time // when the last failure was counted
	timeouts uint32
	rooms    map[string]uint32 // errors by room
	users    map[string]uint32
}

// maxOrigins bounds the rooms and the users with errors that are remembered.
const maxOrigins = 64

// timeout records the timeout of a call that began at that time.
func (r *failureRun) timeout(began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts(began) {
		r.timeouts++
	}
}

// hangs reports whether the run has a timeout.
func (r *failureRun) hangs() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.timeouts > 0
}

// hasBegun reports whether the run has a failure.
func (r *failureRun) hasBegun() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.timeouts > 0 || len(r.rooms) > 0
}

// failure records an error. It reports whether the errors come from several rooms and users.
func (r *failureRun) failure(from origin, began time.Time) (spread bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts(began) {
		if r.rooms == nil {
			r.rooms, r.users = make(map[string]uint32), make(map[string]uint32)
		}
		add(r.rooms, from.room)
		add(r.users, from.user)
	}
	return len(r.rooms) > 1 && len(r.users) > 1
}

func add(errors map[string]uint32, of string) {
	if errors[of] > 0 || len(errors) < maxOrigins {
		errors[of]++
	}
}

// counts reports whether a call began after the last counted failure.
func (r *failureRun) counts(began time.Time) bool {
	if began.Before(r.counted) {
		return false
	}
	r.counted = time.Now()
	return true
}

// fill sets the number of timeouts.
func (r *failureRun) fill(timeouts uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeouts = timeouts
}

// weight returns the weight of the failures, which opens the breaker if it is high enough.
func (r *failureRun) weight() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rooms) < 2 || len(r.users) < 2 {
		return r.timeouts
	}
	var rooms, users uint32
	for _, errors := range r.rooms {
		rooms += min(errors, max(1, r.most))
	}
	for _, errors := range r.users {
		users += min(errors, max(1, r.most))
	}
	return r.timeouts + min(rooms, users)
}

// end starts a new run, after a success or when the breaker has changed its state.
func (r *failureRun) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeouts, r.rooms, r.users = 0, nil, nil
}
