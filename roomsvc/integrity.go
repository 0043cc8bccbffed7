package roomsvc

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// endsBefore reports whether the stream has no readable message at the sequence or behind it: they
// were removed or are damaged.
func (s *Service) endsBefore(ctx context.Context, seq uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	_, err := s.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subjects.AllEvents))
	return errors.Is(err, jetstream.ErrMsgNotFound)
}

// maxGaps bounds the answer about lost messages: the server lists every gap in it.
const maxGaps = 10_000

// checkIntegrity looks for messages that are damaged on disk, which NATS does not report unasked.
// The server skips a message that it cannot read. If it finds one while it recovers from a crash,
// it cuts off everything behind it in the same file.
func (s *Service) checkIntegrity(ctx context.Context) error {
	info, err := s.info(ctx)
	if err != nil {
		return fmt.Errorf("looking at the stream: %w", err)
	}
	lost := s.projection.missingMessages(info.State.LastSeq, info.State.Msgs)
	if lost > 0 {
		s.log.Error("messages of the stream damaged on disk", "messages", lost)
	}
	if info.State.NumDeleted <= maxGaps {
		if info, err = s.info(ctx, jetstream.WithDeletedDetails(true)); err != nil {
			return fmt.Errorf("looking for lost messages of the stream: %w", err)
		}
		if cut := info.State.Lost; cut != nil {
			s.log.Error("server cut damaged messages off the stream: acknowledged changes are lost", "bytes", cut.Bytes, "messages", cut.Msgs)
			lost += max(1, uint64(len(cut.Msgs)))
		}
	}
	s.lost.Store(lost)
	return nil
}
