package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// These headers make the servers report the destinations of a message instead of delivering it.
const (
	traceDest = "Nats-Trace-Dest"
	traceOnly = "Nats-Trace-Only"
)

// trace is the report of one server about a message.
type trace struct {
	Hops   int `json:"hops"` // number of other servers that the message went to; each reports too
	Events []struct {
		Type  string `json:"type"`
		Kind  int    `json:"kind"` // of the connection
		Queue string `json:"queue"`
		Error string `json:"error"`
	} `json:"events"`
}

const (
	traceIngress = "in"
	traceEgress  = "eg"
	kindClient   = 0
)

// isFirst reports whether the trace is from the server that received the message from its client.
func (t trace) isFirst() bool {
	for _, e := range t.Events {
		if e.Type == traceIngress {
			return e.Kind == kindClient
		}
	}
	return false
}

// HasQueue reports whether the subject has a subscriber in the queue group. It delivers no message. A
// server that does not answer counts as one without subscribers.
func HasQueue(ctx context.Context, nc *nats.Conn, subject, queue string) (bool, error) {
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return false, fmt.Errorf("subscribing to an inbox: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only if the connection is gone, and the subscription with it
	msg := &nats.Msg{Subject: subject, Header: nats.Header{traceDest: {inbox}, traceOnly: {"true"}}}
	if err := nc.PublishMsg(msg); err != nil {
		return false, fmt.Errorf("looking for subscribers of %s: %w", subject, err)
	}
	wait := broadcastTimeout
	first, left := false, 1 // the servers may answer in any order
	for !first || left > 0 {
		next, err := within(ctx, wait, sub.NextMsgWithContext)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return false, nil // no other server answers
		}
		if err != nil {
			return false, fmt.Errorf("looking for subscribers of %s: %w", subject, err)
		}
		wait = broadcastStall
		var t trace
		if json.Unmarshal(next.Data, &t) != nil {
			continue
		}
		first = first || t.isFirst()
		left += t.Hops - 1
		for _, e := range t.Events {
			if e.Type == traceEgress && e.Queue == queue && e.Error == "" {
				return true, nil
			}
		}
	}
	return false, nil
}

func within[T any](ctx context.Context, d time.Duration, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}
