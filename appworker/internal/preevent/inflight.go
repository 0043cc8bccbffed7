package preevent

import (
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// inFlight counts the pre-events that this worker is deciding, so that the worker does not decide one
// twice when it arrives again as a retry.
type inFlight struct {
	mu     sync.Mutex
	counts map[inFlightKey]int
}

type inFlightKey struct {
	i  room.Interface
	id string
}

func keyOf(i room.Interface, msg *nats.Msg) inFlightKey {
	return inFlightKey{i: i, id: msg.Header.Get(subjects.ID)}
}

// add counts a pre-event until remove is called.
func (f *inFlight) add(key inFlightKey) (remove func()) {
	f.change(key, 1)
	return func() { f.change(key, -1) }
}

func (f *inFlight) change(key inFlightKey, by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = make(map[inFlightKey]int)
	}
	f.counts[key] += by
	if f.counts[key] == 0 {
		delete(f.counts, key)
	}
}

func (f *inFlight) has(key inFlightKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[key] > 0
}
