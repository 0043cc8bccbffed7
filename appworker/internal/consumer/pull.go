package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/appworker/internal/ordering"
	"github.com/roombus/roombus/subjects"
)

// read receives events until the context or the consumer ends. Events that have begun continue.
func (s *source) read(ctx context.Context) error {
	for ctx.Err() == nil {
		if s.isBusy() {
			select {
			case <-s.ended:
			case <-ctx.Done():
			}
			continue
		}
		if err := s.pull(ctx); err != nil {
			return fmt.Errorf("receiving from %s: %w", s.stream, err)
		}
	}
	return nil
}

// isBusy reports whether all handlers are in use.
func (s *source) isBusy() bool { return int(s.running.Load()) >= s.cfg.Concurrency }

// pullHeartbeat is half of the time after which a missing consumer is noticed.
const pullHeartbeat = 2 * time.Second

// pull receives events and prefetches up to Concurrency more. Prefetched events have no lease that is
// renewed. Therefore, if no handler becomes free within prefetchGrace, pull adds the prefetched events to
// their lines and returns. It does the same when the context ends.
func (s *source) pull(ctx context.Context) error {
	ahead := s.cfg.Concurrency
	messages, err := s.bound.Load().consumer.Messages(jetstream.PullMaxMessages(ahead),
		jetstream.PullThresholdMessages(max(1, ahead*3/4)), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return err
	}
	defer messages.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, messages.Drain)()
	var graceOver <-chan time.Time
	for {
		for s.isBusy() && ctx.Err() == nil {
			if graceOver == nil {
				graceOver = time.After(s.bound.Load().prefetchGrace())
			}
			select {
			case <-s.ended:
			case <-graceOver:
				cancel()
			case <-ctx.Done():
			}
		}
		msg, err := messages.Next()
		switch {
		case errors.Is(err, nats.ErrConnectionClosed):
			return err
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case err != nil:
			return err
		}
		if err := s.add(msg); err != nil {
			return err
		}
	}
}

// add adds an event to its line, and begins the event if it may begin.
func (s *source) add(msg jetstream.Msg) error {
	d, err := newDelivery(msg, s.stream == subjects.Replays)
	if err != nil {
		return err
	}
	if s.ordered && d.invalid == nil {
		if _, known := (*s.bound.Load().from.Load())[d.kind]; !known {
			s.refresh(s.c.stopping) // another version of the app has widened the filters
		}
		d.roomLine(*s.bound.Load().from.Load())
	} else {
		d.ownLine()
	}
	bound := s.bound.Load()
	d.extendLease(time.Now().Add(bound.leaseTime() - bound.prefetchGrace()))
	begin, result := s.lines.Add(d)
	if result == ordering.AlreadyDone {
		return msg.Ack()
	}
	s.begin(begin)
	s.peers.Wake()
	return nil
}
