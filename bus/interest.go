package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// The headers that make the servers say where a message would go, and not deliver it.
const (
	traceDest = "Nats-Trace-Dest"
	traceOnly = "Nats-Trace-Only"
)

// trace is what a server says of a message's way.
type trace struct {
	Hops   int `json:"hops"` // other servers that it went to, each of which says so too
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

// isFirst reports whether the trace is of the server that got the message from its client.
func (t trace) isFirst() bool {
	for _, e := range t.Events {
		if e.Type == traceIngress {
			return e.Kind == kindClient
		}
	}
	return false
}

// HasQueue reports whether anything subscribes to the subject in the queue group, without sending it
// anything. Servers that do not answer have none.
func HasQueue(ctx context.Context, nc *nats.Conn, subject, queue string) (bool, error) {
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return false, fmt.Errorf("subscribing to an inbox: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only if the connection is gone, and the subscription with it
	msg := &nats.Msg{Subject: subject, Header: nats.Header{traceDest: {inbox}, traceOnly: {"true"}}}
	if err := nc.PublishMsg(msg); err != nil {
		return false, fmt.Errorf("asking who subscribes to %s: %w", subject, err)
	}
	wait := broadcastTimeout
	first, left := false, 1 // the servers answer in any order
	for !first || left > 0 {
		next, err := within(ctx, wait, sub.NextMsgWithContext)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return false, nil // no other server answers
		}
		if err != nil {
			return false, fmt.Errorf("asking who subscribes to %s: %w", subject, err)
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
