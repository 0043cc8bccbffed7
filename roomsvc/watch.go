package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// The waits before the bucket is watched again, which grow while it cannot be.
const (
	firstWatchRetry = 50 * time.Millisecond
	maxWatchRetry   = 5 * time.Second
)

// watchApps keeps the registry up with the bucket until the context ends. From the moment that
// the connection is lost until the bucket has been read anew no command is decided: operators
// may have changed everything meanwhile.
func (s *Service) watchApps(ctx context.Context) {
	var outage bus.Outage
	for wait := firstWatchRetry; ctx.Err() == nil; wait = min(2*wait, maxWatchRetry) {
		err := s.watchOnce(ctx, func() {
			if lasted, log := outage.Ended(time.Now()); log {
				s.log.Info("the apps are known again", "outage", lasted.Round(time.Millisecond))
			}
		})
		s.apps.markStale(err)
		if ctx.Err() != nil {
			return
		}
		switch {
		case errors.Is(err, errReconnected):
			wait = firstWatchRetry
		case errors.Is(err, errResync):
			s.log.Info("reading the apps anew", "why", err)
			wait = firstWatchRetry
		case !s.isUnavailable() && outage.Failed(time.Now()):
			s.log.Warn("no command is decided until the apps are known", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-s.connection:
		case <-s.resync:
		case <-ctx.Done():
		}
	}
}

// watchOnce learns what is in the bucket, and what changes, until the context ends, the
// connection was lost, or something is amiss with the bucket. It calls known once it has learnt what is there.
func (s *Service) watchOnce(ctx context.Context, known func()) error {
	if err := s.mendRegistry(ctx); err != nil {
		return err
	}
	requests_, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	last, err := bus.LeaderLast(requests_, s.nc, subjects.AppsStream, subjects.AllApps)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop() // unlike the watch's own Stop it does not wait for a server that may be gone
	w, err := s.apps.kv.WatchAll(watching)
	if err != nil {
		return fmt.Errorf("watching the bucket: %w", err)
	}
	for {
		select {
		case e, open := <-w.Updates():
			switch {
			case !open:
				return errors.New("the watch has ended")
			case e == nil: // what was there has come, but the replica it is from may lag behind
				s.apps.markSynced(last.Seq)
				known()
			case e.Operation() != jetstream.KeyValuePut:
				s.apps.forget(e.Key(), e.Revision())
			default:
				s.apps.update(e.Key(), e.Value(), e.Revision())
			}
		case status := <-s.connection:
			s.apps.markStale(nats.ErrDisconnected)
			if status == nats.CONNECTED {
				return errReconnected
			}
		case <-s.resync:
			return errResync
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errBehindBucket is why the bucket is read anew though the connection is there: another
// replica has learnt what this one has not, or the bucket is not the one that was read.
var errResync = errors.New("a change of the apps did not come, or the bucket is another one")
