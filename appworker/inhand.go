package appworker

import (
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// inHand knows the pre-events that this worker is deciding, so that it does not begin one
// again when it comes as a retry.
type inHand struct {
	mu     sync.Mutex
	counts map[inHandKey]int
}

type inHandKey struct {
	i  room.Interface
	id string
}

func keyOf(i room.Interface, msg *nats.Msg) inHandKey {
	return inHandKey{i: i, id: msg.Header.Get(subjects.ID)}
}

// take takes a pre-event in hand until release is called.
func (h *inHand) take(key inHandKey) (release func()) {
	h.add(key, 1)
	return func() { h.add(key, -1) }
}

func (h *inHand) add(key inHandKey, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = make(map[inHandKey]int)
	}
	h.counts[key] += n
	if h.counts[key] == 0 {
		delete(h.counts, key)
	}
}

func (h *inHand) has(key inHandKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[key] > 0
}
