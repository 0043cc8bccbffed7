package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Guard is the condition of an append: the last message that matches Filter has sequence Seq.
// Seq is 0 if no message matches. The guard only protects against writers that use the
// identical filter string.
type Guard struct {
	Seq    uint64
	Filter string
}

// codeIDInFlight is JetStream's code for a message whose id is in flight, in a replicated stream. The
// client library has no name for it.
const codeIDInFlight = 10158

// Append publishes the message with the guard and the id, and waits until JetStream has
// stored it. It returns the sequence, or one of the append errors. It does not retry. It sends
// through the Batcher, so that one write carries several messages; the jetstream package would
// write each message separately. Append is safe for concurrent use.
func (r *Requester) Append(ctx context.Context, msg *nats.Msg, id string, g Guard) (uint64, error) {
	// gofail: var beforePublish struct{}
	seq, err := r.append(ctx, withGuard(msg, id, g))
	// gofail: var afterPublish struct{}
	if err != nil && !errors.Is(err, ErrStored) {
		err = classifyAppendError(err)
	}
	return seq, err
}

// withGuard adds the headers of the guard and the id to the message.
func withGuard(msg *nats.Msg, id string, g Guard) *nats.Msg {
	if msg.Header == nil {
		msg.Header = make(nats.Header)
	}
	msg.Header.Set(jetstream.MsgIDHeader, id)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(g.Seq, 10))
	msg.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, g.Filter)
	return msg
}

func (r *Requester) append(ctx context.Context, msg *nats.Msg) (uint64, error) {
	reply, err := r.request(ctx, msg)
	if err != nil {
		return 0, err
	}
	if isNoResponders(reply) {
		return 0, jetstream.ErrNoStreamResponse
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		*jetstream.PubAck
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, fmt.Errorf("reading the acknowledgement: %w", err)
	}
	switch {
	case ack.Error != nil:
		return 0, ack.Error
	case ack.PubAck == nil || ack.Stream == "":
		return 0, jetstream.ErrInvalidJSAck
	case ack.Duplicate:
		return 0, ErrStored
	}
	return ack.Sequence, nil
}

// IsConflict reports whether JetStream refused a message because the guard did not hold or may
// not have held.
func IsConflict(err *jetstream.APIError) bool {
	return err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant // with a message in flight, in a replicated stream; may be spurious
}

func classifyAppendError(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse), isUnsent(err):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case !errors.As(err, &api):
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	switch {
	case IsConflict(api):
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case api.ErrorCode == codeIDInFlight:
		return fmt.Errorf("%w: %w", ErrStored, err)
	}
	if api.Code >= 500 { // an internal server error: the message may be stored
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// isUnsent reports whether the client library did not send the message.
func isUnsent(err error) bool {
	return slices.ContainsFunc([]error{
		nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrConnectionDraining,
	}, func(unsent error) bool { return errors.Is(err, unsent) })
}
