package janitor

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
	retainBusy    = 10 * time.Millisecond // after this much work a round pauses for as long
	retainPause   = time.Second / 2       // bounds that pause: the server caches blocks for a second
	retainSettled = time.Second           // consumers lag behind the stream by less than this
	retainRetry   = time.Minute           // after a round that failed
	retainTry     = 10 * time.Second      // bounds one request
)

// retention removes the histories of rooms that were deleted longer ago than RetainDeleted from the
// stream. Every replica does. A replica drops such a room when it finds the history gone, also if
// another replica removed it.
type retention struct{ cfg Config }

// run removes histories until the context ends.
func (r *retention) run(ctx context.Context) {
	if r.cfg.RetainDeleted < 0 {
		return
	}
	var outage bus.Outage
	pause := retainRound
	for bus.Sleep(ctx, pause) {
		began := time.Now()
		removed, err := r.removeDue(ctx)
		pause = retainRound
		if err != nil && ctx.Err() == nil {
			if !r.cfg.IsUnavailable() && outage.Failed(time.Now()) {
				r.cfg.Logger.Warn("cannot remove the histories of deleted rooms", "error", err, "again_in", retainRetry)
			}
			pause = retainRetry
		}
		if err == nil {
			if lasted, log := outage.Ended(time.Now()); log {
				r.cfg.Logger.Info("histories of deleted rooms removed again after an outage", "outage", lasted.Round(time.Millisecond))
			}
		}
		if removed > 0 {
			r.cfg.Logger.Debug("histories of deleted rooms removed", "rooms", removed, "took", time.Since(began))
		}
	}
}

// removeDue runs one round: it removes histories that are due and that every consumer has read,
// oldest first. It returns the number of removed histories.
func (r *retention) removeDue(ctx context.Context) (removed int, err error) {
	before := time.Now().Add(-r.cfg.RetainDeleted)
	if _, _, due := r.cfg.Rooms.Due(before, math.MaxUint64); !due {
		return 0, nil
	}
	floor, err := r.floor(ctx)
	if err != nil {
		return 0, err
	}
	var busy time.Duration
	for ctx.Err() == nil {
		roomID, seq, due := r.cfg.Rooms.Due(before, floor)
		if !due {
			return removed, nil
		}
		began := time.Now()
		if err := r.remove(ctx, roomID, seq); err != nil {
			return removed, err
		}
		removed++
		// The stream processes one operation at a time. The pause leaves half of the time to others.
		// After a longer pause the server would have to read its blocks from disk again.
		if busy += time.Since(began); busy > retainBusy {
			bus.Sleep(ctx, min(busy, retainPause))
			busy = 0
		}
	}
	return removed, ctx.Err()
}

// remove purges the events of the room up to its deletion at the sequence. Events of a room that was
// created again under the same id come later and stay.
func (r *retention) remove(ctx context.Context, roomID string, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, retainTry)
	defer cancel()
	err := r.cfg.Events.Purge(ctx, jetstream.WithPurgeSubject(subjects.PostsOf(roomID)), jetstream.WithPurgeSequence(seq+1))
	if err != nil {
		return fmt.Errorf("purging room %s up to %d: %w", roomID, seq, err)
	}
	r.cfg.Rooms.Forget(roomID, seq)
	return nil
}

// floor returns the sequence up to which every consumer of the stream is done, including consumers
// that are not of this service. A snapshot may need earlier events: a service that starts from it
// reads the whole stream if it finds a gap.
func (r *retention) floor(ctx context.Context) (uint64, error) {
	settled, err := r.settledSeq(ctx)
	if err != nil {
		return 0, err
	}
	consumers, err := r.consumers(ctx)
	if err != nil {
		return 0, err
	}
	floor := settled
	for _, c := range consumers {
		floor = min(floor, c.doneWith(settled))
	}
	return floor, nil
}

// settledSeq returns a sequence that every copy of the stream has had for retainSettled. So
// every consumer has counted the messages up to it, whichever copy it reads.
func (r *retention) settledSeq(ctx context.Context) (uint64, error) {
	try, cancel := context.WithTimeout(ctx, retainTry)
	defer cancel()
	info, err := r.cfg.Events.Info(try)
	if err != nil {
		return 0, fmt.Errorf("looking at the stream: %w", err)
	}
	var lag uint64
	if info.Cluster != nil {
		for _, c := range info.Cluster.Replicas {
			lag = max(lag, c.Lag)
		}
	}
	if !bus.Sleep(ctx, retainSettled) {
		return 0, ctx.Err()
	}
	return info.State.LastSeq - min(lag, info.State.LastSeq), nil
}

// consumer is a consumer of the stream. info is nil if the consumer does not answer.
type consumer struct{ info *jetstream.ConsumerInfo }

func (r *retention) consumers(ctx context.Context) (map[string]consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, retainTry)
	defer cancel()
	all := make(map[string]consumer)
	names := r.cfg.Events.ConsumerNames(ctx)
	for name := range names.Name() {
		all[name] = consumer{}
	}
	list := r.cfg.Events.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Name != "" { // it is empty if the server of the consumer is unavailable
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

// doneWith returns the sequence up to which the consumer has nothing left to read. If it has no
// pending and no unacknowledged messages, that is the settled sequence: its own sequences do not
// advance over events that its filter skips. A parked consumer holds nothing back, since it may
// stay parked for ever.
func (c consumer) doneWith(settled uint64) uint64 {
	switch i := c.info; {
	case i == nil:
		return 0
	case i.NumPending == 0 && i.NumAckPending == 0, bus.IsParked(i.Config):
		return settled
	case i.Config.AckPolicy == jetstream.AckNonePolicy:
		return i.Delivered.Stream
	default:
		return i.AckFloor.Stream
	}
}
