package roomsvc

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

const (
	retainRound   = time.Second           // between two rounds
	retainBusy    = 10 * time.Millisecond // then there is a pause as long
	retainPause   = time.Second / 2       // but not longer: the server keeps blocks at hand for a second
	retainSettled = time.Second           // what consumers know of the stream is no older than this
	retainRetry   = time.Minute           // after a round that failed
	retainTry     = 10 * time.Second      // bounds one request
)

// retain removes from the stream the histories of rooms that were deleted longer ago than the
// retention, until the context ends. Every replica does: each forgets such rooms when it finds
// their histories gone, whoever has removed them.
func (s *Service) retain(ctx context.Context) {
	if *s.cfg.RetainDeleted < 0 {
		return
	}
	var outage bus.Outage
	pause := retainRound
	for sleep(ctx, pause) {
		began := time.Now()
		removed, err := s.removeDue(ctx)
		pause = retainRound
		if err != nil && ctx.Err() == nil {
			if !s.isUnavailable() && outage.Failed(time.Now()) {
				s.log.Warn("cannot remove the histories of deleted rooms now", "error", err, "again_in", retainRetry)
			}
			pause = retainRetry
		}
		if err == nil {
			if lasted, log := outage.Ended(time.Now()); log {
				s.log.Info("the histories of deleted rooms are removed again", "outage", lasted.Round(time.Millisecond))
			}
		}
		if removed > 0 {
			s.log.Debug("removed the histories of deleted rooms", "rooms", removed, "took", time.Since(began))
		}
	}
}

// removeDue is one round: it removes what is due and what nobody has yet to read, oldest first,
// and returns of how many deletions.
func (s *Service) removeDue(ctx context.Context) (removed int, err error) {
	before := time.Now().Add(-*s.cfg.RetainDeleted)
	if _, due := s.projection.due(before, math.MaxUint64); !due {
		return 0, nil
	}
	floor, err := s.floor(ctx)
	if err != nil {
		return 0, err
	}
	var busy time.Duration
	for ctx.Err() == nil {
		d, due := s.projection.due(before, floor)
		if !due {
			return removed, nil
		}
		began := time.Now()
		if err := s.remove(ctx, d); err != nil {
			return removed, err
		}
		removed++
		// The stream does one thing at a time: half of it is left to others. A longer pause would
		// only make the server read its blocks from disk once more.
		if busy += time.Since(began); busy > retainBusy {
			sleep(ctx, min(busy, retainPause))
			busy = 0
		}
	}
	return removed, ctx.Err()
}

// remove purges everything of the room up to its deletion. A room made anew under the same id
// comes behind it.
func (s *Service) remove(ctx context.Context, d deletion) error {
	ctx, cancel := context.WithTimeout(ctx, retainTry)
	defer cancel()
	err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(subjects.PostsOf(d.room)), jetstream.WithPurgeSequence(d.seq+1))
	if err != nil {
		return fmt.Errorf("purging room %s up to %d: %w", d.room, d.seq, err)
	}
	s.projection.removed(d)
	return nil
}

// floor is the sequence up to which every consumer of the stream, whosever it is, is done with
// it. A snapshot may need more: a service that starts from it reads the whole stream instead when
// it finds a gap behind it.
func (s *Service) floor(ctx context.Context) (uint64, error) {
	settled, err := s.readByAllCopies(ctx)
	if err != nil {
		return 0, err
	}
	consumers, err := s.consumers(ctx)
	if err != nil {
		return 0, err
	}
	floor := settled
	for _, c := range consumers {
		floor = min(floor, c.doneWith(settled))
	}
	return floor, nil
}

// settled is a sequence that every copy of the stream has had for a moment, so that a consumer,
// whichever copy it reads, has counted what comes before it.
func (s *Service) readByAllCopies(ctx context.Context) (uint64, error) {
	try, cancel := context.WithTimeout(ctx, retainTry)
	defer cancel()
	info, err := s.stream.Info(try)
	if err != nil {
		return 0, fmt.Errorf("looking at the stream: %w", err)
	}
	var lag uint64
	if info.Cluster != nil {
		for _, r := range info.Cluster.Replicas {
			lag = max(lag, r.Lag)
		}
	}
	if !sleep(ctx, retainSettled) {
		return 0, ctx.Err()
	}
	return info.State.LastSeq - min(lag, info.State.LastSeq), nil
}

// consumer is one of the stream's; of one that does not answer nothing is known but its name.
type consumer struct{ info *jetstream.ConsumerInfo }

func (s *Service) consumers(ctx context.Context) (map[string]consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, retainTry)
	defer cancel()
	all := make(map[string]consumer)
	names := s.stream.ConsumerNames(ctx)
	for name := range names.Name() {
		all[name] = consumer{}
	}
	list := s.stream.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Name != "" { // as with one whose server is away
			all[info.Name] = consumer{info}
		}
	}
	for _, err := range []error{names.Err(), list.Err()} {
		if err != nil {
			return nil, fmt.Errorf("listing the stream's consumers: %w", err)
		}
	}
	return all, nil
}

// doneWith is the sequence up to which nothing is to come for the consumer. If it has nothing
// before it and nothing in hand that is all that it knows of; what its filter passes over does
// not move its own sequences. A parked consumer holds nothing back: it may be parked for ever.
func (c consumer) doneWith(settled uint64) uint64 {
	switch i := c.info; {
	case i == nil:
		return 0
	case i.NumPending == 0 && i.NumAckPending == 0, isParked(i.Config):
		return settled
	case i.Config.AckPolicy == jetstream.AckNonePolicy:
		return i.Delivered.Stream
	default:
		return i.AckFloor.Stream
	}
}

// sleep reports whether the time has passed; if not, the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
