package roomsvc

import (
	"context"
	"errors"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/peers"
	"github.com/roombus/roombus/subjects"
)

// Two headers keep a client from going back in time when it asks several replicas. Room-Seq on a reply
// is an upper bound: the highest sequence that the reply's state may contain. Room-Min-Seq on a read is
// a lower bound: the replica must have read the stream up to it.

// fresh makes reads wait for the sequence that they ask for.
func (es *endpoints) fresh(read serve) serve {
	return func(ctx context.Context, msg *nats.Msg) (any, error) {
		if err := es.awaitMinSeq(ctx, msg.Header); err != nil {
			return nil, err
		}
		return read(ctx, msg)
	}
}

// awaitMinSeq returns when the projection has the sequence that the header names. It returns an error
// of code invalid_request if the header is not a whole number, conflict if the stream ends before the
// sequence, and deadline_exceeded if the context ends first.
func (es *endpoints) awaitMinSeq(ctx context.Context, h nats.Header) error {
	asked := h[subjects.MinSeq]
	if len(asked) == 0 {
		return nil
	}
	seq, err := strconv.ParseUint(asked[0], 10, 64)
	if err != nil {
		return room.Errorf(room.CodeInvalidRequest, "header %s must be a whole number, not %.80q", subjects.MinSeq, asked[0])
	}
	return es.projection.AwaitMinSeq(ctx, seq)
}

// seqHeader returns the Room-Seq header of the reply with this result or error. It must be called
// after the state was read. The result of a change has no header, since its body has the sequence.
// Neither has an answer about apps.
func (es *endpoints) seqHeader(reply any) nats.Header {
	switch r := reply.(type) {
	case room.Result:
		if r.Event != nil {
			return nil
		}
	case peers.Result:
		return r.Header
	case error:
		if other := (*peers.Error)(nil); errors.As(r, &other) {
			return other.Header
		}
	case room.Room, body:
	default:
		return nil
	}
	return nats.Header{subjects.Seq: {strconv.FormatUint(es.projection.Highest(), 10)}}
}
