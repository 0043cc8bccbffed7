package hooks

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// preEvent returns the body of a pre-event about the draft.
func preEvent(d room.Data) ([]byte, error) {
	d.Apps, d.Warnings = nil, nil
	body, err := json.Marshal(&d)
	if err != nil {
		return nil, fmt.Errorf("encoding the pre-event: %w", err)
	}
	return body, nil
}

// judge sets the outcome of the answer from a reply.
func judge(a *rules.Answer, iface room.Interface, d *rules.Draft, reply bus.Reply) {
	a.Took = reply.Took
	switch {
	case errors.Is(reply.Err, bus.ErrNoResponders):
		a.Outcome, a.Reason = room.Unavailable, "no live worker"
	case errors.Is(reply.Err, bus.ErrTimeout):
		a.Outcome, a.Reason = room.TimedOut, fmt.Sprintf("no verdict within %d ms", a.Took.Milliseconds())
	case reply.Err != nil:
		a.Outcome, a.Reason = room.Unavailable, reply.Err.Error()
	default:
		if err := readVerdict(a, iface, d, reply.Msg); err != nil {
			a.Outcome, a.Reason = failureOf(reply.Msg), err.Error()
		}
	}
}

// failureOf returns the outcome of a reply without a usable verdict. A worker may report its
// timeout before the timeout of the service.
func failureOf(msg *nats.Msg) room.Outcome {
	if msg.Header.Get(micro.ErrorCodeHeader) == "504" {
		return room.TimedOut
	}
	return room.Failed
}

func readVerdict(a *rules.Answer, iface room.Interface, d *rules.Draft, msg *nats.Msg) error {
	code, description := msg.Header.Get(micro.ErrorCodeHeader), msg.Header.Get(micro.ErrorHeader)
	if code != "" || description != "" {
		return fmt.Errorf("%.*s", room.MaxReasonBytes, cmp.Or(description, "error "+code))
	}
	v, err := room.ParseVerdict(iface, msg.Data)
	if err != nil {
		return fmt.Errorf("the verdict cannot be read: %w", err)
	}
	if a.Modified, err = v.Modified(d.Data.Room); err != nil {
		return err
	}
	a.Verdict, a.Outcome = v, v.Verdict.Outcome()
	if v.Reason != "" || v.Verdict == room.Deny {
		a.Reason = v.Reason
	}
	return nil
}
