package projection

import (
	"slices"
	"strings"
	"time"

	"github.com/roombus/roombus/subjects"
)

// clockSkew is the allowed difference between the clocks of the server and of this service.
const clockSkew = 10 * time.Minute

// dedupe remembers the ids of recently committed commands, so that a command that is sent again
// gets its first result. It remembers them in generations, so that forgetting is cheap: a
// generation takes the ids of one DedupeFor, and is dropped as a whole one DedupeFor later.
type dedupe struct{ generations []generation } // oldest first

type generation struct {
	since time.Time
	seqs  map[string]uint64 // by the id of the command
}

func (d *dedupe) add(id string, seq uint64, stored time.Time) {
	now := time.Now()
	if now.Sub(stored) > subjects.DedupeFor+clockSkew {
		return
	}
	if n := len(d.generations); n == 0 || now.Sub(d.generations[n-1].since) > subjects.DedupeFor {
		d.begin(now, make(map[string]uint64))
	}
	d.generations[len(d.generations)-1].seqs[strings.Clone(id)] = seq // the id is part of the headers, which must not stay in memory
}

// begin starts a new generation.
func (d *dedupe) begin(now time.Time, seqs map[string]uint64) {
	d.expire(now)
	d.generations = append(d.generations, generation{since: now, seqs: seqs})
}

// expire drops the generations whose newest ids are old enough.
func (d *dedupe) expire(now time.Time) {
	for len(d.generations) > 0 && now.Sub(d.generations[0].since) > 2*subjects.DedupeFor {
		d.generations = d.generations[1:]
	}
}

// find returns the sequence of the command's event, 0 if the command is not remembered.
func (d *dedupe) find(id string) uint64 {
	for _, g := range slices.Backward(d.generations) {
		if seq, ok := g.seqs[id]; ok {
			return seq
		}
	}
	return 0
}

// freeze returns the generations so far and starts a new one. The returned generations do not
// change any more, and may be read without the projection's lock.
func (d *dedupe) freeze() []generation {
	frozen := d.generations
	d.begin(time.Now(), make(map[string]uint64))
	return frozen
}
