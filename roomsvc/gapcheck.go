package roomsvc

import (
	"context"
	"errors"
)

// The stream's sequences are without gaps but where histories of deleted rooms were removed.
// Who reads it from the start finds such gaps and misses nothing. Who reads on finds none, since
// nothing is removed that a reader has yet to get; but one that was gone for long does, and may
// have missed the deletion of a room that it knows.

// gaps is what one reading of the stream may pass over.
type gapCheck struct {
	fromStart bool   // it began at the stream's first sequence
	end       uint64 // the stream's last sequence when it began
}

// missed reports whether a message of this sequence after the last one shows that others were
// removed that had to be seen.
func (g gapCheck) missed(last, seq uint64) bool {
	return seq != last+1 && (!g.fromStart || seq > g.end+1)
}

// errMissed is why reading starts over when events were removed before they were read.
var errMissed = errors.New("events were removed before this service has read them")

// missed makes the projection be read anew, since what it has up to the sequence has a gap.
func (s *Service) missed(seq uint64) error {
	s.log.Warn("the stream no longer has what follows; the projection is made anew", "last", s.projection.last(), "next", seq)
	s.projection.reset(s.projection.created(), seq)
	return errMissed
}

// passOver goes on to the stream's end, as it was when the reading began, if nothing is left on
// the way.
func (s *Service) skipToEnd(ctx context.Context, g gapCheck) error {
	if !s.endsBefore(ctx, s.projection.last()+1) {
		return nil // there is more to come
	}
	if !g.fromStart {
		return s.missed(g.end)
	}
	s.projection.skipTo(g.end)
	return nil
}
