package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/synadia-io/orbit.go/natsext"
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
	return broadcast(ctx, nc, subject, data, broadcastStall)
}

// broadcast waits for the first reply until the context ends, and after each reply for the next one at
// most for stall.
func broadcast(ctx context.Context, nc *nats.Conn, subject string, data []byte, stall time.Duration) ([]*nats.Msg, error) {
	replies, err := natsext.RequestMany(ctx, nc, subject, data, natsext.RequestManyStall(stall))
	if err != nil {
		return nil, fmt.Errorf("requesting replies on %s: %w", subject, err)
	}
	var all []*nats.Msg
	for msg, err := range replies {
		if errors.Is(err, nats.ErrNoResponders) {
			return nil, nil
		}
		if err != nil {
			return all, fmt.Errorf("requesting replies on %s: %w", subject, err)
		}
		all = append(all, msg)
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) { // the iterator may end without an error
		return all, fmt.Errorf("requesting replies on %s: %w", subject, err)
	}
	return all, nil
}

// Ping returns every live instance of the named micro service. An empty name means every micro
// service.
func Ping(ctx context.Context, nc *nats.Conn, name string) ([]micro.ServiceIdentity, error) {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	pings, err := everyService[micro.Ping](ctx, nc, micro.PingVerb, name, broadcastStall)
	all := make([]micro.ServiceIdentity, 0, len(pings))
	for _, p := range pings {
		all = append(all, p.ServiceIdentity)
	}
	return all, err
}

// Stats returns the statistics of every live instance of the named micro service.
func Stats(ctx context.Context, nc *nats.Conn, name string) ([]micro.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	return StatsWithin(ctx, nc, name, broadcastStall)
}

// StatsWithin is Stats with the caller's own timeouts: it waits for the first reply until the context
// ends, and after each reply for the next one at most for stall.
func StatsWithin(ctx context.Context, nc *nats.Conn, name string, stall time.Duration) ([]micro.Stats, error) {
	return everyService[micro.Stats](ctx, nc, micro.StatsVerb, name, stall)
}

func everyService[T any](ctx context.Context, nc *nats.Conn, verb micro.Verb, name string, stall time.Duration) ([]T, error) {
	subject, err := micro.ControlSubject(verb, name, "")
	if err != nil {
		return nil, fmt.Errorf("naming the service's subject: %w", err)
	}
	replies, err := broadcast(ctx, nc, subject, nil, stall)
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
