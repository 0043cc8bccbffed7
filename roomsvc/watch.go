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

// Backoff before the bucket is watched again.
const (
	firstWatchRetry = 50 * time.Millisecond
	maxWatchRetry   = 5 * time.Second
)

// watchApps keeps the registry in sync with the bucket until the context ends. From the loss of the
// connection until the bucket has been read again no command is decided, since operators may have
// changed any registration meanwhile.
func (s *Service) watchApps(ctx context.Context) {
	var outage bus.Outage
	for wait := firstWatchRetry; ctx.Err() == nil; wait = min(2*wait, maxWatchRetry) {
		err := s.watchOnce(ctx, func() {
			if lasted, log := outage.Ended(time.Now()); log {
				s.log.Info("registry in sync again", "outage", lasted.Round(time.Millisecond))
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
			s.log.Info("reading the registry again", "reason", err)
			wait = firstWatchRetry
		case !s.health.isUnavailable() && outage.Failed(time.Now()):
			s.log.Warn("registry not in sync: no command is decided", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-s.connection:
		case <-s.resync:
		case <-ctx.Done():
		}
	}
}

// watchOnce reads the bucket and its changes until the context ends, the connection is lost, or the
// bucket must be read again. It calls synced after the initial entries.
func (s *Service) watchOnce(ctx context.Context, synced func()) error {
	if err := s.mendRegistry(ctx); err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	last, err := bus.LeaderLast(ask, s.nc, subjects.AppsStream, subjects.AllApps)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop() // the watch's Stop would wait for a server that may be gone
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
			case e == nil: // end of the initial entries, from a copy of the bucket that may lag
				s.apps.markSynced(last.Seq)
				synced()
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

// errReconnected is the reason to read the bucket again after a lost connection: operators may have
// changed it meanwhile.
var errReconnected = errors.New("the connection was lost and is back")

// errResync is the reason to read the bucket again over the same connection: another replica has
// read a change that this one has not, or the bucket was recreated.
var errResync = errors.New("a change of the apps was missed, or the bucket was recreated")
