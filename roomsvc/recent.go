package roomsvc

import (
	"strings"
	"time"
)

// recentFor is how long a command's id is remembered at least: as long as JetStream does.
const recentFor = dedupeWindow

// clockSkew is how far the clocks of the server and of this service may be apart.
const clockSkew = 10 * time.Minute

// recent remembers the ids of the commands committed lately, so that one that is sent again
// is answered with what it did. Two maps take turns, so that forgetting costs nothing; an id
// is remembered for one to two times recentFor.
type recent struct {
	now, before map[string]uint64 // id -> sequence
	since       time.Time         // when now was begun
}

func (r *recent) add(id string, seq uint64, stored time.Time) {
	t := time.Now()
	if t.Sub(stored) > recentFor+clockSkew {
		return
	}
	if r.now == nil || t.Sub(r.since) > recentFor {
		r.before, r.now, r.since = r.now, make(map[string]uint64), t
	}
	r.now[strings.Clone(id)] = seq // lest it keeps the headers that it stands in
}

// find is the sequence of the event that the command has made, 0 if it is not remembered.
func (r *recent) find(id string) uint64 {
	if seq, ok := r.now[id]; ok {
		return seq
	}
	return r.before[id]
}
