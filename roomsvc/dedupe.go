package roomsvc

import (
	"slices"
	"strings"
	"time"
)

// recentFor is how long a command's id is remembered at least: as long as JetStream does.
const dedupeFor = dedupeWindow

// clockSkew is how far the clocks of the server and of this service may be apart.
const clockSkew = 10 * time.Minute

// recent remembers the ids of the commands committed lately, so that one that is sent again
// is answered with what it did. It remembers by generations, so that forgetting costs nothing:
// one takes what comes in recentFor, and is forgotten as a whole when that was as long ago.
type dedupe struct{ generations []generation } // the oldest first

type generation struct {
	since time.Time
	seqs  map[string]uint64 // by the command's id
}

func (r *dedupe) add(id string, seq uint64, stored time.Time) {
	now := time.Now()
	if now.Sub(stored) > dedupeFor+clockSkew {
		return
	}
	if n := len(r.generations); n == 0 || now.Sub(r.generations[n-1].since) > dedupeFor {
		r.begin(now, make(map[string]uint64))
	}
	r.generations[len(r.generations)-1].seqs[strings.Clone(id)] = seq // lest it keeps the headers that it stands in
}

// begin makes a generation that what comes next is added to.
func (r *dedupe) begin(now time.Time, seqs map[string]uint64) {
	r.expire(now)
	r.generations = append(r.generations, generation{since: now, seqs: seqs})
}

// expire forgets the generations whose last commands were remembered long enough.
func (r *dedupe) expire(now time.Time) {
	for len(r.generations) > 0 && now.Sub(r.generations[0].since) > 2*dedupeFor {
		r.generations = r.generations[1:]
	}
}

// find is the sequence of the event that the command has made, 0 if it is not remembered.
func (r *dedupe) find(id string) uint64 {
	for _, g := range slices.Backward(r.generations) {
		if seq, ok := g.seqs[id]; ok {
			return seq
		}
	}
	return 0
}

// freeze returns what is remembered now. It is not written to any more, and may be read without
// the projection's lock.
func (r *dedupe) freeze() []generation {
	frozen := r.generations
	r.begin(time.Now(), make(map[string]uint64))
	return frozen
}
