package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A cluster creates the consumers and copies of a restored stream asynchronously.
const (
	settleTimeout = 2 * time.Minute
	settleRetry   = 250 * time.Millisecond
	// strayTimeout bounds how long ephemeral consumers are removed. Consumers that appear later
	// belong to other readers.
	strayTimeout = 10 * time.Second
)

// verify waits until the restored data agrees with the manifest. It returns a *DiffersError if it
// does not.
func (t *transfer) verify(ctx context.Context, m *Manifest, copies int) (Contents, error) {
	began := time.Now()
	for {
		now, differ, err := t.compareStreams(ctx, m, copies)
		if err != nil {
			return now, err
		}
		stray, err := t.removeEphemerals(ctx, m)
		if err != nil {
			return now, err
		}
		if len(differ) == 0 && (stray == 0 || time.Since(began) > strayTimeout) {
			return t.compareRest(ctx, m, now)
		}
		if len(differ) > 0 && time.Since(began) > settleTimeout {
			return now, &DiffersError{Differences: differ}
		}
		select {
		case <-time.After(settleRetry):
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

func (t *transfer) compareStreams(ctx context.Context, m *Manifest, copies int) (now Contents, differ []string, err error) {
	for _, was := range m.Streams {
		is, info, err := t.look(ctx, was.Name)
		if err != nil {
			return now, nil, err
		}
		now.Streams = append(now.Streams, is)
		differ = append(differ, compare(was, is, info.Config)...)
		differ = append(differ, lagging(info, copies)...)
	}
	return now, differ, nil
}

// removeEphemerals removes the consumers of services that ran when the backup was made. They would
// count as readers of the stream until the server removes them. It returns their number.
func (t *transfer) removeEphemerals(ctx context.Context, m *Manifest) (n int, err error) {
	for _, s := range m.Streams {
		stream, err := t.js.Stream(ctx, s.Name)
		if err != nil {
			return n, fmt.Errorf("looking up stream %s: %w", s.Name, err)
		}
		var ephemerals []string
		list := stream.ListConsumers(ctx)
		for c := range list.Info() {
			if c.Config.Durable == "" {
				ephemerals = append(ephemerals, c.Name)
			}
		}
		if err := list.Err(); err != nil {
			return n, fmt.Errorf("listing the consumers of stream %s: %w", s.Name, err)
		}
		n += len(ephemerals)
		for _, c := range ephemerals {
			if err := stream.DeleteConsumer(ctx, c); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return n, fmt.Errorf("removing consumer %s of stream %s: %w", c, s.Name, err)
			}
		}
	}
	return n, nil
}

// compare lists the differences between a restored stream and its copy. Servers before 2.15 may
// copy more messages than existed when the copy began. Messages removed during the copy may be in
// it or not.
func compare(was, is Stream, cfg jetstream.StreamConfig) (differ []string) {
	differs := func(format string, args ...any) {
		differ = append(differ, fmt.Sprintf("stream %s ", was.Name)+fmt.Sprintf(format, args...))
	}
	if is.LastSeq < was.LastSeq {
		differs("ends at sequence %d, not %d", is.LastSeq, was.LastSeq)
	}
	expire := cfg.MaxAge > 0 // messages may have expired since
	if least := was.Messages - min(was.Removed, was.Messages); is.Messages < least && !expire {
		differs("has %d messages, not %d", is.Messages, least)
	}
	for _, c := range was.Consumers {
		n := slices.IndexFunc(is.Consumers, func(o Consumer) bool { return o.Name == c.Name })
		if n < 0 {
			differs("lacks consumer %s", c.Name)
			continue
		}
		if floor := is.Consumers[n].AckFloor; floor < c.AckFloor || floor > c.AckFloorAfter {
			differs("has consumer %s with ack floor %d, not %d to %d", c.Name, floor, c.AckFloor, c.AckFloorAfter)
		}
	}
	return differ
}

// lagging lists the copies that a cluster has not completed yet.
func lagging(info *jetstream.StreamInfo, copies int) (differ []string) {
	if info.Config.Replicas != copies {
		differ = append(differ, fmt.Sprintf("stream %s has %d copies, not %d", info.Config.Name, info.Config.Replicas, copies))
	}
	if copies == 1 {
		return differ
	}
	if info.Cluster == nil || len(info.Cluster.Replicas) < copies-1 {
		return append(differ, fmt.Sprintf("stream %s has no %d copies yet", info.Config.Name, copies))
	}
	for _, r := range info.Cluster.Replicas {
		if !r.Current || r.Offline {
			differ = append(differ, fmt.Sprintf("the copy of stream %s on %s is not up to date", info.Config.Name, r.Name))
		}
	}
	return differ
}

// compareRest compares apps, documents and rooms.
func (t *transfer) compareRest(ctx context.Context, m *Manifest, now Contents) (Contents, error) {
	var err error
	if now.Apps, now.Params, err = t.registry(ctx); err != nil {
		return now, err
	}
	events, _ := m.stream(order()[0])
	if now.Rooms, err = t.rooms(ctx, events.LastSeq); err != nil {
		return now, err
	}
	var differ []string
	if m.Apps != nil && !slices.Equal(m.Apps, now.Apps) {
		differ = append(differ, fmt.Sprintf("the registered apps are %v, not %v", now.Apps, m.Apps))
	}
	if m.Params != nil && !slices.Equal(m.Params, now.Params) {
		differ = append(differ, fmt.Sprintf("the documents are %v, not %v", now.Params, m.Params))
	}
	if m.Rooms != nil && *m.Rooms != *now.Rooms {
		differ = append(differ, fmt.Sprintf("the events make %d rooms with hash %s, not %d with hash %s", now.Rooms.Live, now.Rooms.Hash, m.Rooms.Live, m.Rooms.Hash))
	}
	if len(differ) > 0 {
		return now, &DiffersError{Differences: differ}
	}
	return now, nil
}
