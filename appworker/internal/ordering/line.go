package ordering

import "slices"

// line is one room.
type line[E Event] struct {
	done    []uint64 // sequences above the floor that are known to be done, sorted
	running E        // the event that has begun and not ended; zero if none
	waiting []E      // events that have not begun, sorted by sequence
	queries []Query  // of other workers, about events that may be delivered to this worker
}

// isRunning reports whether an event has begun and not ended.
func (ln *line[E]) isRunning() bool {
	var none E
	return ln.running != none
}

// isEmpty reports whether the line has nothing to remember.
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

// before returns the number of done events before the sequence.
func (ln *line[E]) before(seq uint64) int {
	at, _ := slices.BinarySearch(ln.done, seq)
	return at
}
