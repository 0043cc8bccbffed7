package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LeaderLast is the sequence of the last message on the subject that the stream's leader has, 0
// if there is none. The jetstream package asks any replica of a stream that allows it, and a
// replica may lag behind; it also gives nothing of a message whose headers it cannot read.
func LeaderLast(ctx context.Context, nc *nats.Conn, stream, subject string) (uint64, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return 0, fmt.Errorf("encoding the question: %w", err)
	}
	reply, err := nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+stream, request)
	if err != nil {
		return 0, fmt.Errorf("asking the leader of stream %s: %w", stream, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return 0, fmt.Errorf("reading what the leader of stream %s says: %w", stream, err)
	}
	switch {
	case answer.Error == nil:
		return answer.Message.Seq, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return 0, nil
	}
	return 0, fmt.Errorf("asking the leader of stream %s: %w", stream, answer.Error)
}
