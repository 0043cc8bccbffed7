package roomclient

import (
	"strconv"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/subjects"
)

// NotOlderThan makes the client's later reads at least as new as the event of that sequence in
// ROOM_EVENTS. It is for sequences that the caller knows from elsewhere: the client takes note of those
// that its own calls return. A sequence that is lower than one the client has seen changes nothing.
func (c *Client) NotOlderThan(seq uint64) { c.newest.raise(seq) }

// newest is the highest sequence that a client has seen the effect of. It is safe for concurrent use.
type newest struct{ seq atomic.Uint64 }

func (n *newest) raise(seq uint64) {
	for known := n.seq.Load(); seq > known; known = n.seq.Load() {
		if n.seq.CompareAndSwap(known, seq) {
			return
		}
	}
}

// forget drops a sequence that the stream does not have, unless a call has seen a higher one meanwhile.
func (n *newest) forget(seq uint64) { n.seq.CompareAndSwap(seq, 0) }

// learn takes the sequence that a reply's header names.
func (n *newest) learn(reply nats.Header) {
	if seq, err := strconv.ParseUint(reply.Get(subjects.Seq), 10, 64); err == nil {
		n.raise(seq)
	}
}

// asRead is the Option that marks a request as a read. demand fills in the sequence.
func asRead(h nats.Header) { h.Set(subjects.MinSeq, "0") }

// demand fills in the sequence that a read asks for and returns it; for a command it returns 0.
func (n *newest) demand(h nats.Header) uint64 {
	if h.Get(subjects.MinSeq) == "" {
		return 0
	}
	seq := n.seq.Load()
	h.Set(subjects.MinSeq, strconv.FormatUint(seq, 10))
	return seq
}
