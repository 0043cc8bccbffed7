package projection

import (
	"context"
	"time"

	"github.com/roombus/roombus/room"
)

// usualLag is how long a read waits before the projection asks the leader whether the stream has
// the sequence. Most sequences arrive within it, so that the leader is not asked for each read.
const usualLag = 50 * time.Millisecond

// AwaitMinSeq returns when the projection has the sequence that a read asks for. It returns an error
// of code conflict if the stream ends before the sequence, and deadline_exceeded if the context ends
// first.
func (p *Projection) AwaitMinSeq(ctx context.Context, seq uint64) error {
	if p.Last() >= seq || p.awaitSeqWithin(ctx, seq, usualLag) == nil {
		return nil
	}
	if end, known := p.streamEnd(ctx); known && seq > end {
		return room.Errorf(room.CodeConflict, "the stream ends at sequence %d, %d is not there to wait for", end, seq)
	}
	if p.AwaitSeq(ctx, seq) != nil {
		return room.Errorf(room.CodeDeadlineExceeded, "this replica has read the stream up to sequence %d, not yet up to %d", p.Last(), seq)
	}
	return nil
}

// streamEnd returns the last sequence of the stream from its leader. It is not known if the leader
// does not answer. Then the read keeps waiting, since the projection may still advance.
func (p *Projection) streamEnd(ctx context.Context) (seq uint64, known bool) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.AckWait)
	defer cancel()
	info, err := p.cfg.Stream.Info(ctx)
	if err != nil {
		return 0, false
	}
	return info.State.LastSeq, true
}
