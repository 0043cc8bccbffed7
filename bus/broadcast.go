package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nuid"
)

// How long a broadcast waits for the first reply, and after each reply for the next one. The
// number of replies is not known in advance.
const (
	broadcastTimeout = time.Second
	broadcastStall   = 150 * time.Millisecond
)

// Broadcast sends a request to all subscribers of the subject and returns their replies. It
// returns no replies and no error if the subject has no responders.
func Broadcast(ctx context.Context, nc *nats.Conn, subject string, data []byte) ([]*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	return broadcast(ctx, nc, nc.NewInbox(), subject, data, broadcastStall)
}

// broadcast waits for the first reply until the context ends, and after each reply for the next one at
// most for stall.
func broadcast(ctx context.Context, nc *nats.Conn, inbox, subject string, data []byte, stall time.Duration) ([]*nats.Msg, error) {
	failed := func(err error) error { return fmt.Errorf("requesting replies on %s: %w", subject, err) }
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only if the connection is gone, and the subscription with it
	if err := nc.PublishRequest(subject, inbox, data); err != nil {
		return nil, failed(err)
	}
	var all []*nats.Msg
	next := sub.NextMsgWithContext
	for {
		msg, err := next(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return nil, nil
		case errors.Is(err, context.DeadlineExceeded):
			return all, nil
		case err != nil:
			return all, failed(err)
		}
		all = append(all, msg)
		next = func(ctx context.Context) (*nats.Msg, error) { return within(ctx, stall, sub.NextMsgWithContext) }
	}
}

// Ping returns every live instance of the named micro service. An empty name means every micro
// service.
func Ping(ctx context.Context, nc *nats.Conn, name string) ([]micro.ServiceIdentity, error) {
	return PingFrom(ctx, nc, "", name)
}

// PingFrom is Ping with an inbox under the prefix, for services in other accounts. An empty prefix is that
// of the connection.
func PingFrom(ctx context.Context, nc *nats.Conn, prefix, name string) ([]micro.ServiceIdentity, error) {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	pings, err := everyService[micro.Ping](ctx, nc, prefix, micro.PingVerb, name, broadcastStall)
	all := make([]micro.ServiceIdentity, 0, len(pings))
	for _, p := range pings {
		all = append(all, p.ServiceIdentity)
	}
	return all, err
}

// Stats returns the statistics of every live instance of the named micro service.
func Stats(ctx context.Context, nc *nats.Conn, name string) ([]micro.Stats, error) {
	return StatsFrom(ctx, nc, "", name)
}

// StatsFrom is Stats with an inbox under the prefix, for services in other accounts. An empty prefix is that
// of the connection.
func StatsFrom(ctx context.Context, nc *nats.Conn, prefix, name string) ([]micro.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	return everyService[micro.Stats](ctx, nc, prefix, micro.StatsVerb, name, broadcastStall)
}

// StatsWithin is Stats with the caller's own timeouts: it waits for the first reply until the context
// ends, and after each reply for the next one at most for stall.
func StatsWithin(ctx context.Context, nc *nats.Conn, name string, stall time.Duration) ([]micro.Stats, error) {
	return everyService[micro.Stats](ctx, nc, "", micro.StatsVerb, name, stall)
}

func everyService[T any](ctx context.Context, nc *nats.Conn, prefix string, verb micro.Verb, name string, stall time.Duration) ([]T, error) {
	subject, err := micro.ControlSubject(verb, name, "")
	if err != nil {
		return nil, fmt.Errorf("naming the service's subject: %w", err)
	}
	inbox := nc.NewInbox()
	if prefix != "" {
		inbox = prefix + "." + nuid.Next()
	}
	replies, err := broadcast(ctx, nc, inbox, subject, nil, stall)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, msg := range replies {
		var reply T
		if json.Unmarshal(msg.Data, &reply) == nil { // invalid replies are ignored
			all = append(all, reply)
		}
	}
	return all, nil
}
