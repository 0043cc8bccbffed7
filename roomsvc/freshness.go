package roomsvc

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// A client that asks several replicas sees the rooms go forward only: a reply says with Room-Seq which
// sequence its state may rest on, and a read says with Room-Min-Seq up to which the replica must have
// read the stream.

// usualLag is how long a replica waits for a sequence before it asks the leader whether the stream
// has it. Most come within it: a question for each would be too much for the leader.
const usualLag = 50 * time.Millisecond

// fresh serves reads that are as new as they ask for.
func (s *Service) fresh(read serve) serve {
	return func(ctx context.Context, msg *nats.Msg) (any, error) {
		if err := s.awaitMinSeq(ctx, msg.Header); err != nil {
			return nil, err
		}
		return read(ctx, msg)
	}
}

// awaitMinSeq returns when the projection has what the header asks for. It returns an error of code
// invalid_request if that is no number, conflict if the stream ends before it, and deadline_exceeded
// if the context ends first.
func (s *Service) awaitMinSeq(ctx context.Context, h nats.Header) error {
	asked := h[subjects.MinSeq]
	if len(asked) == 0 {
		return nil
	}
	seq, err := strconv.ParseUint(asked[0], 10, 64)
	if err != nil {
		return room.Errorf(room.CodeInvalidRequest, "header %s must be a whole number, not %.80q", subjects.MinSeq, asked[0])
	}
	if s.projection.last() >= seq || s.reach(ctx, seq, usualLag) == nil {
		return nil
	}
	if end, known := s.streamEnd(ctx); known && seq > end {
		return room.Errorf(room.CodeConflict, "the stream ends at sequence %d, %d is not there to wait for", end, seq)
	}
	if s.projection.reach(ctx, seq) != nil {
		return room.Errorf(room.CodeDeadlineExceeded, "this replica has read the stream up to sequence %d, not yet up to %d", s.projection.last(), seq)
	}
	return nil
}

// streamEnd is the last sequence that the stream's leader has given out, if it says so in time. While
// there is no leader, what is on its way may still come.
func (s *Service) streamEnd(ctx context.Context) (seq uint64, known bool) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, false
	}
	return info.State.LastSeq, true
}

// seqHeader is the header of the reply with this result or error. The result of a change has none,
// since its body names the sequence, and an answer about apps rests on none.
func (s *Service) seqHeader(reply any) nats.Header {
	switch r := reply.(type) {
	case room.Result:
		if r.Event != nil {
			return nil
		}
	case relayed:
		return r.header
	case *relayedError:
		return r.header
	case room.Room, room.Page, room.MemberPage, error:
	default:
		return nil
	}
	return nats.Header{subjects.Seq: {strconv.FormatUint(s.projection.highest(), 10)}}
}
