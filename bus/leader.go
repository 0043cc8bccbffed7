package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Last is the last message on a subject, of sequence 0 if there is none.
type Last struct {
	Seq  uint64 `json:"seq"`
	Head []byte `json:"hdrs"` // as it is stored
}

// Header is empty if the message has none that can be read.
func (l Last) Header() nats.Header {
	h, err := nats.DecodeHeadersMsg(l.Head)
	if err != nil {
		return nats.Header{}
	}
	return h
}

// LeaderLast is the last message on the subject that the stream's leader has. The jetstream package
// asks any replica of a stream that allows it, and a replica may lag behind; it also gives nothing
// of a message whose headers it cannot read.
func LeaderLast(ctx context.Context, nc *nats.Conn, stream, subject string) (Last, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return Last{}, fmt.Errorf("encoding the question: %w", err)
	}
	reply, err := nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+stream, request)
	if err != nil {
		return Last{}, fmt.Errorf("asking the leader of stream %s: %w", stream, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message Last                `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return Last{}, fmt.Errorf("reading what the leader of stream %s says: %w", stream, err)
	}
	switch {
	case answer.Error == nil:
		return answer.Message, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Last{}, nil
	}
	return Last{}, fmt.Errorf("asking the leader of stream %s: %w", stream, answer.Error)
}
