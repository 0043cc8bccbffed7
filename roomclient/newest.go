package roomclient

import (
	"strconv"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/subjects"
)

// NotOlderThan makes the client's reads wait for the event of that sequence of ROOM_EVENTS, for a
// caller who knows of the event from elsewhere. Of what the client's own calls return it knows.
func (c *Client) NotOlderThan(seq uint64) { c.newest.raise(seq) }

// newest is the highest sequence that a client has seen the effect of. Any number of goroutines may
// use it.
type newest struct{ seq atomic.Uint64 }

func (n *newest) raise(seq uint64) {
	for known := n.seq.Load(); seq > known; known = n.seq.Load() {
		if n.seq.CompareAndSwap(known, seq) {
			return
		}
	}
}

// forget is for a sequence that the stream does not have, as it was made anew.
func (n *newest) forget(seq uint64) { n.seq.CompareAndSwap(seq, 0) }

// learn takes from a reply how new the state is that it rests on.
func (n *newest) learn(reply nats.Header) {
	if seq, err := strconv.ParseUint(reply.Get(subjects.Seq), 10, 64); err == nil {
		n.raise(seq)
	}
}

// asRead is the Option of reads: they ask for state as new as the client has seen.
func asRead(h nats.Header) { h.Set(subjects.MinSeq, "0") }

// demand fills in what a read asks for, and returns it; 0 if the request is no read.
func (n *newest) demand(h nats.Header) uint64 {
	if h.Get(subjects.MinSeq) == "" {
		return 0
	}
	seq := n.seq.Load()
	h.Set(subjects.MinSeq, strconv.FormatUint(seq, 10))
	return seq
}
