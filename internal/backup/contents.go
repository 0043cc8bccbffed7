package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/subjects"
)

// look describes a stream on the server. It returns jetstream.ErrStreamNotFound if there is none.
func (t *transfer) look(ctx context.Context, name string) (Stream, *jetstream.StreamInfo, error) {
	stream, err := t.js.Stream(ctx, name)
	if err != nil {
		return Stream{}, nil, fmt.Errorf("looking up stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	s := Stream{
		Name: name, Copies: info.Config.Replicas, Consumers: []Consumer{},
		Messages: info.State.Msgs, FirstSeq: info.State.FirstSeq, LastSeq: info.State.LastSeq,
	}
	list := stream.ListConsumers(ctx)
	for c := range list.Info() {
		if c.Config.Durable != "" {
			s.Consumers = append(s.Consumers, Consumer{Name: c.Name, AckFloor: c.AckFloor.Stream, Pending: c.NumPending + uint64(c.NumAckPending)})
		}
	}
	if err := list.Err(); err != nil {
		return s, info, fmt.Errorf("listing the consumers of stream %s: %w", name, err)
	}
	slices.SortFunc(s.Consumers, func(a, b Consumer) int { return cmp.Compare(a.Name, b.Name) })
	return s, info, nil
}

// gone is the number of removed messages of a stream.
func (s Stream) gone() uint64 { return s.LastSeq - min(s.Messages, s.LastSeq) }

// registry returns the ids of the registered apps, and the names of the documents of policies.
func (t *transfer) registry(ctx context.Context) (apps, params []string, err error) {
	kv, err := t.js.KeyValue(ctx, subjects.AppsBucket)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the bucket %s: %w", subjects.AppsBucket, err)
	}
	keys, err := kv.Keys(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil, fmt.Errorf("reading the bucket %s: %w", subjects.AppsBucket, err)
	}
	slices.Sort(keys)
	apps, params = []string{}, []string{}
	for _, key := range keys {
		if name, ok := subjects.ParamOf(key); ok {
			params = append(params, name)
		} else {
			apps = append(apps, key)
		}
	}
	return apps, params, nil
}

// A cluster that has just restored a stream may serve a reader from a node whose copy is not
// complete yet. A read also ends early if the last event was removed.
const (
	readRetry   = 250 * time.Millisecond
	readTimeout = 10 * time.Second
)

// rooms reads the events up to the sequence.
func (t *transfer) rooms(ctx context.Context, last uint64) (*Rooms, error) {
	for began := time.Now(); ; {
		p, err := projection.Project(ctx, t.js, last, func(seq uint64) { t.Progress("rooms", seq, last) })
		if err != nil {
			return nil, err
		}
		if p.LastSeq >= last || time.Since(began) > readTimeout {
			return &Rooms{LastSeq: last, Live: p.Rooms, Deleted: p.Deleted, Quarantined: p.Quarantined, Hash: p.Hash}, nil
		}
		select {
		case <-time.After(readRetry):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
