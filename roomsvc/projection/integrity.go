package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// AtEnd reports whether the stream has no readable message behind the last sequence that was read:
// they were removed or are damaged.
func (p *Projection) AtEnd(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.AckWait)
	defer cancel()
	_, err := p.cfg.Stream.GetMsg(ctx, p.Last()+1, jetstream.WithGetMsgSubject(subjects.AllEvents))
	return errors.Is(err, jetstream.ErrMsgNotFound)
}

// maxGaps bounds the answer about lost messages: the server lists every gap in it.
const maxGaps = 10_000

// CheckIntegrity looks for messages that are damaged on disk, which NATS does not report unasked.
// The server skips a message that it cannot read. If it finds one while it recovers from a crash,
// it cuts off everything behind it in the same file. Stats has the number of such messages.
func (p *Projection) CheckIntegrity(ctx context.Context) error {
	info, err := p.info(ctx)
	if err != nil {
		return fmt.Errorf("looking at the stream: %w", err)
	}
	p.mu.RLock()
	lost := p.progress.missing(info.State.LastSeq, info.State.Msgs)
	p.mu.RUnlock()
	if lost > 0 {
		p.cfg.Logger.Error("messages of the stream damaged on disk", "messages", lost)
	}
	if info.State.NumDeleted <= maxGaps {
		if info, err = p.info(ctx, jetstream.WithDeletedDetails(true)); err != nil {
			return fmt.Errorf("looking for lost messages of the stream: %w", err)
		}
		if cut := info.State.Lost; cut != nil {
			p.cfg.Logger.Error("server cut damaged messages off the stream: acknowledged changes are lost", "bytes", cut.Bytes, "messages", cut.Msgs)
			lost += max(1, uint64(len(cut.Msgs)))
		}
	}
	p.lost.Store(lost)
	return nil
}

// MissingEvents returns how many events of live rooms the stream lacks. Only the histories of
// deleted rooms are removed on purpose. Other missing events were purged, deleted, or removed by a
// limit. The number is not known if the stream does not answer, was recreated or has lost its end.
func (p *Projection) MissingEvents(ctx context.Context) (missing uint64, known bool) {
	for range 2 { // a room may be deleted and its history removed between the two looks
		events, due := p.liveEvents(0)
		look, cancel := context.WithTimeout(ctx, p.cfg.AckWait)
		info, err := p.cfg.Stream.Info(look)
		cancel()
		if err != nil || info.State.LastSeq < due || !info.Created.Equal(p.created()) {
			return 0, false
		}
		before, _ := p.liveEvents(info.State.FirstSeq)
		missing = before
		if events > info.State.Msgs {
			missing = max(missing, events-info.State.Msgs)
		}
		if missing == 0 {
			break
		}
	}
	return missing, true
}

func (p *Projection) liveEvents(before uint64) (events, last uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.rooms.liveEvents(before)
}
