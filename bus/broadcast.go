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

// How long a broadcast waits for its first reply, and after each for the next: nobody says how
// many there will be.
const (
	broadcastTimeout = time.Second
	broadcastStall   = 150 * time.Millisecond
)

// Broadcast sends a request to everybody who listens on the subject and returns the replies
// that came. Nobody listening is no error.
func Broadcast(ctx context.Context, nc *nats.Conn, subject string, data []byte) ([]*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	return broadcast(ctx, nc, subject, data, broadcastStall)
}

// broadcast waits for the first reply until the context ends, and after each for the next one until the
// stall has passed.
func broadcast(ctx context.Context, nc *nats.Conn, subject string, data []byte, stall time.Duration) ([]*nats.Msg, error) {
	replies, err := natsext.RequestMany(ctx, nc, subject, data, natsext.RequestManyStall(stall))
	if err != nil {
		return nil, fmt.Errorf("asking everybody on %s: %w", subject, err)
	}
	var all []*nats.Msg
	for msg, err := range replies {
		if errors.Is(err, nats.ErrNoResponders) {
			return nil, nil
		}
		if err != nil {
			return all, fmt.Errorf("asking everybody on %s: %w", subject, err)
		}
		all = append(all, msg)
	}
	return all, nil
}

// Ping returns every live instance of the micro service of that name, or with an empty name
// of every micro service.
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

// Stats returns the statistics of every live instance of the micro service of that name.
func Stats(ctx context.Context, nc *nats.Conn, name string) ([]micro.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	return StatsWithin(ctx, nc, name, broadcastStall)
}

// StatsWithin is Stats for a caller that has its own patience: it waits for the first reply until the
// context ends, and after each for the next one until the stall has passed.
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
		var said T
		if json.Unmarshal(msg.Data, &said) == nil { // an answer that cannot be read is none
			all = append(all, said)
		}
	}
	return all, nil
}
