package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Last is the last message on a subject. Seq is 0 if there is no message.
type Last struct {
	Seq  uint64 `json:"seq"`
	Head []byte `json:"hdrs"` // the encoded headers, as stored
}

// Header returns the headers of the message. They are empty if they cannot be decoded.
func (l Last) Header() nats.Header {
	h, err := nats.DecodeHeadersMsg(l.Head)
	if err != nil {
		return nats.Header{}
	}
	return h
}

// LeaderLast returns the last message on the subject as the stream's leader has it. The jetstream
// package is not used for two reasons. It asks any node with a copy if the stream allows direct get,
// and a copy may lag. It returns nothing for a message whose headers it cannot decode.
func LeaderLast(ctx context.Context, nc *nats.Conn, stream, subject string) (Last, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return Last{}, fmt.Errorf("encoding the request: %w", err)
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
		return Last{}, fmt.Errorf("decoding the reply of the leader of stream %s: %w", stream, err)
	}
	switch {
	case answer.Error == nil:
		return answer.Message, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Last{}, nil
	}
	return Last{}, fmt.Errorf("asking the leader of stream %s: %w", stream, answer.Error)
}

// StreamInfo returns what the stream's leader says about the stream, nil if the stream does not
// exist.
func StreamInfo(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamInfo, error) {
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking up stream %s: %w", name, err)
	}
	return stream.CachedInfo(), nil
}

// LastSeq returns the sequence of the last message of the stream, 0 if the stream does not exist.
func LastSeq(stream *jetstream.StreamInfo) uint64 {
	if stream == nil {
		return 0
	}
	return stream.State.LastSeq
}
