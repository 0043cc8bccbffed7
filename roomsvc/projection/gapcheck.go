package projection

import (
	"context"
	"errors"
)

// The sequences of the stream have gaps only where histories of deleted rooms were removed. A reader
// that starts at the beginning finds such gaps and misses nothing. A reader that goes on finds none,
// since the retention waits for every reader. But a reader that was down for long may find one, and
// may have missed the deletion of a room that it knows.

// gapCheck decides which gaps one reading of the stream may skip.
type gapCheck struct {
	fromStart bool   // the reading began at the stream's first sequence
	end       uint64 // the stream's last sequence when the reading began
}

// missed reports whether events that had to be read were removed between the last sequence and this
// one.
func (g gapCheck) missed(last, seq uint64) bool {
	return seq != last+1 && (!g.fromStart || seq > g.end+1)
}

// errMissed is the reason to start over when events were removed before they were read.
var errMissed = errors.New("events were removed before this service has read them")

// missed resets the projection, since events are missing after its last sequence.
func (f *follower) missed(seq uint64) error {
	f.p.cfg.Logger.Warn("events removed before they were read; resetting the projection", "last", f.p.Last(), "next", seq)
	f.p.reset(f.p.created(), seq)
	return errMissed
}

// skipToEnd moves the projection to the end that the stream had when the reading began, if no
// message is left before it.
func (f *follower) skipToEnd(ctx context.Context, g gapCheck) error {
	if !f.p.AtEnd(ctx) {
		return nil // a message is left
	}
	if !g.fromStart {
		return f.missed(g.end)
	}
	f.p.skipTo(g.end)
	return nil
}
