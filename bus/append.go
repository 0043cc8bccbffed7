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

// Guard is the condition of an append: the last message that matches the filter has this
// sequence, or there is none and it is 0. It holds among writers that use the identical
// filter string.
type Guard struct {
	Seq    uint64
	Filter string
}

// Codes of the JetStream API that the guard and the message id give. The client library
// names only some of them.
const (
	codeConflict         = 10071 // with a stored message
	codeConflictInFlight = 10164 // with a message on its way, in a replicated stream; may be spurious
	codeIDInFlight       = 10158 // the same id is on its way, in a replicated stream
)

// Append publishes the message under the guard and its id, and waits until JetStream has
// stored it. It returns the sequence, or one of the errors of appending. It is tried once. The
// jetstream package would send each message by itself; here it leaves with what else is to be sent.
func (a *Requester) Append(ctx context.Context, msg *nats.Msg, id string, g Guard) (uint64, error) {
	// gofail: var beforePublish struct{}
	seq, err := a.append(ctx, withGuard(msg, id, g))
	// gofail: var afterPublish struct{}
	if err != nil && !errors.Is(err, ErrStored) {
		err = sortAppendError(err)
	}
	return seq, err
}

// withGuard adds the headers of a guard and an id to a message.
func withGuard(msg *nats.Msg, id string, g Guard) *nats.Msg {
	if msg.Header == nil {
		msg.Header = make(nats.Header)
	}
	msg.Header.Set(jetstream.MsgIDHeader, id)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(g.Seq, 10))
	msg.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, g.Filter)
	return msg
}

func (a *Requester) append(ctx context.Context, msg *nats.Msg) (uint64, error) {
	reply, err := a.request(ctx, msg)
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

// IsConflict reports whether JetStream refused a message because a guard did not hold, or may
// not have.
func IsConflict(err *jetstream.APIError) bool {
	return err.ErrorCode == codeConflict || err.ErrorCode == codeConflictInFlight
}

func sortAppendError(err error) error {
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
	if api.Code >= 500 { // trouble inside the server: it may have stored the message all the same
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// isUnsent reports whether the client library kept the message from leaving.
func isUnsent(err error) bool {
	return slices.ContainsFunc([]error{
		nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrConnectionDraining,
	}, func(unsent error) bool { return errors.Is(err, unsent) })
}
