package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// LeaderLast is the sequence of the last message on the subject that the stream's leader has, 0
// if there is none. The jetstream package asks any replica of a stream that allows it, and a
// replica may lag behind; the client's older API asks the leader.
func LeaderLast(ctx context.Context, nc *nats.Conn, stream, subject string) (uint64, error) {
	js, err := nc.JetStream()
	if err != nil {
		return 0, fmt.Errorf("using JetStream: %w", err)
	}
	msg, err := js.GetLastMsg(stream, subject, nats.Context(ctx))
	switch {
	case errors.Is(err, nats.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("asking the leader of stream %s: %w", stream, err)
	}
	return msg.Sequence, nil
}
