package peers

import (
	"encoding/json"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Result is another service's result of a command.
type Result struct {
	json.RawMessage
	Header nats.Header // the Room-Seq header of its reply, as the state of this service may be older
}

// Error is another service's error of a command.
type Error struct {
	error
	Header nats.Header // as of a Result
}

// Unwrap returns the error with its code.
func (e *Error) Unwrap() error { return e.error }

// seqOf returns the Room-Seq header of a reply, nil if there is none.
func seqOf(reply *nats.Msg) nats.Header {
	seq := reply.Header.Get(subjects.Seq)
	if seq == "" {
		return nil
	}
	return nats.Header{subjects.Seq: {seq}}
}

// unanswered is the error of a command whose outcome at another service is unknown.
func unanswered(roomID string) error {
	return room.Errorf(room.CodeUnavailable, "the service that is changing room %q has not answered in time; send the command again with the same id", roomID)
}
