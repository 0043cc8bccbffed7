package ordering

import (
	"slices"
	"time"
)

// line is one room.
type line[E Event] struct {
	done    []uint64 // sequences above the floor that are known to be done, sorted
	running E        // the event that has begun and not ended; zero if none
	waiting []E      // events that have not begun, sorted by sequence
	queries []Query  // of other workers, about events that may be delivered to this worker

	redelivered redelivered // the latest event that was done at a redelivery
}

// redelivered is an event that was done at a redelivery. Workers that died with it may also have held the
// next event of its room, which cannot have begun. That event is redelivered at about the same time.
type redelivered struct {
	seq     uint64
	attempt uint64 // number of deliveries when it was done
	at      time.Time
}

// rememberFor is longer than the time between the redeliveries of two events that the same worker held.
const rememberFor = 10 * time.Second

// isRunning reports whether an event has begun and not ended.
func (ln *line[E]) isRunning() bool {
	var none E
	return ln.running != none
}

// isEmpty reports whether the line holds no event and knows of none above the floor.
func (ln *line[E]) isEmpty() bool {
	return !ln.isRunning() && len(ln.waiting) == 0 && len(ln.queries) == 0 && len(ln.done) == 0
}

// isDone reports whether the event is known to be done. It implies nothing about earlier events: a worker
// of another app version may handle events that this worker passes over.
func (ln *line[E]) isDone(seq uint64) bool {
	_, found := slices.BinarySearch(ln.done, seq)
	return found
}

func (ln *line[E]) markDone(seq uint64) {
	if at, found := slices.BinarySearch(ln.done, seq); !found {
		ln.done = slices.Insert(ln.done, at, seq)
	}
}

// remembers reports whether the line has a redelivered event that still matters.
func (ln *line[E]) remembers() bool { return time.Since(ln.redelivered.at) < rememberFor }

func (ln *line[E]) rememberRedelivered(seq, attempt uint64) {
	if attempt > 1 {
		ln.redelivered = redelivered{seq, attempt, time.Now()}
	}
}

// attemptOf returns the number of deliveries when a done event was done, or 0 if that is not remembered.
func (ln *line[E]) attemptOf(seq uint64) uint64 {
	if ln.redelivered.seq != seq {
		return 0
	}
	return ln.redelivered.attempt
}

// untried returns the number of earlier deliveries of an event at which its previous event was not done.
func (ln *line[E]) untried(d *Position) uint64 {
	if before := ln.attemptOf(d.Previous); before > 1 {
		return min(d.Attempt, before) - 1
	}
	return 0
}

// before returns the number of done events before the sequence.
func (ln *line[E]) before(seq uint64) int {
	at, _ := slices.BinarySearch(ln.done, seq)
	return at
}
