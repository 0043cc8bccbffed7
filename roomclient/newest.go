package roomclient

import (
	"strconv"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/subjects"
)

// NotOlderThan makes the client's later reads at least as new as the event with that sequence in
// ROOM_EVENTS. It is for sequences from other sources: the client remembers the sequences that its own
// calls return. A sequence that is lower than a remembered one has no effect.
func (c *Client) NotOlderThan(seq uint64) { c.newest.raise(seq) }

// newest is the highest sequence that a client has seen. It is safe for concurrent use.
type newest struct{ seq atomic.Uint64 }

func (n *newest) raise(seq uint64) {
	for known := n.seq.Load(); seq > known; known = n.seq.Load() {
		if n.seq.CompareAndSwap(known, seq) {
			return
		}
	}
}

// reset drops a sequence that the stream does not have, unless another call has raised it meanwhile.
func (n *newest) reset(seq uint64) { n.seq.CompareAndSwap(seq, 0) }

// update raises the sequence to the one in a reply's header.
func (n *newest) update(reply nats.Header) {
	if seq, err := strconv.ParseUint(reply.Get(subjects.Seq), 10, 64); err == nil {
		n.raise(seq)
	}
}

// asRead is the Option that marks a request as a read. demand sets the sequence.
func asRead(h nats.Header) { h.Set(subjects.MinSeq, "0") }

// demand sets the minimum sequence of a read and returns it. For a command it returns 0.
func (n *newest) demand(h nats.Header) uint64 {
	if h.Get(subjects.MinSeq) == "" {
		return 0
	}
	seq := n.seq.Load()
	h.Set(subjects.MinSeq, strconv.FormatUint(seq, 10))
	return seq
}
