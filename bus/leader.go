package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LeaderLast is the sequence of the last message on the subject that the stream's leader has, 0 if
// there is none. The client library asks any replica of a stream that allows it, and a
// replica may lag behind.
func LeaderLast(ctx context.Context, nc *nats.Conn, stream, subject string) (uint64, error) {
	body, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return 0, err
	}
	reply, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
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
		return 0, fmt.Errorf("reading the answer of the leader of stream %s: %w", stream, err)
	}
	if answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
		return 0, nil
	}
	if answer.Error != nil {
		return 0, fmt.Errorf("asking the leader of stream %s: %w", stream, answer.Error)
	}
	return answer.Message.Seq, nil
}
