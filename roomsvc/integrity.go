package roomsvc

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// endsBefore reports whether the stream has nothing at the sequence or behind it that can be
// read: it was removed, or is damaged.
func (s *Service) endsBefore(ctx context.Context, seq uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	_, err := s.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subjects.AllEvents))
	return errors.Is(err, jetstream.ErrMsgNotFound)
}

// maxGaps bounds the answer to the question for what was lost: the server lists every gap with
// it.
const maxGaps = 10_000

// inspect looks for what NATS does not say of its own accord: that messages of the stream are
// damaged on disk. The server passes over one that it cannot read. When it finds one while it
// recovers from a crash, it cuts off all that comes behind it in the same file.
func (s *Service) checkIntegrity(ctx context.Context) error {
	info, err := s.info(ctx)
	if err != nil {
		return fmt.Errorf("looking at the stream: %w", err)
	}
	lost := s.projection.missingMessages(info.State.LastSeq, info.State.Msgs)
	if lost > 0 {
		s.log.Error("messages of the stream cannot be read: they are damaged on disk", "messages", lost)
	}
	if info.State.NumDeleted <= maxGaps {
		if info, err = s.info(ctx, jetstream.WithDeletedDetails(true)); err != nil {
			return fmt.Errorf("looking for what the stream has lost: %w", err)
		}
		if cut := info.State.Lost; cut != nil {
			s.log.Error("the server has cut damaged messages off the stream: acknowledged changes are lost", "bytes", cut.Bytes, "messages", cut.Msgs)
			lost += max(1, uint64(len(cut.Msgs)))
		}
	}
	s.lost.Store(lost)
	return nil
}
