package registry

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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

// watcher keeps the entries in sync with the bucket.
type watcher struct {
	cfg     Config
	entries *entries
	bucket  *bucket
	record  *recordKeeper
	resync  chan struct{} // requests to read the bucket again
	// received is the revision that the watch has delivered. A large document is decoded before it is
	// in the entries.
	received atomic.Uint64
	lost     bool // the bucket has lost known registrations, which is logged; only mend uses it
}

func newWatcher(cfg Config, b *bucket, record *recordKeeper) *watcher {
	return &watcher{cfg: cfg, entries: b.entries, bucket: b, record: record, resync: make(chan struct{}, 1)}
}

// run watches the bucket until the context ends.
func (w *watcher) run(ctx context.Context) {
	nc := w.cfg.JetStream.Conn()
	connection := nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
	defer nc.RemoveStatusListener(connection)
	var outage bus.Outage
	for wait := firstWatchRetry; ctx.Err() == nil; wait = min(2*wait, maxWatchRetry) {
		err := w.watchOnce(ctx, connection, func() {
			if lasted, log := outage.Ended(time.Now()); log {
				w.cfg.Logger.Info("registry in sync again", "outage", lasted.Round(time.Millisecond))
			}
		})
		w.entries.markStale(err)
		if ctx.Err() != nil {
			return
		}
		switch {
		case errors.Is(err, errReconnected):
			wait = firstWatchRetry
		case errors.Is(err, errResync):
			w.cfg.Logger.Info("reading the registry again", "reason", err)
			wait = firstWatchRetry
		case !w.cfg.IsUnavailable() && outage.Failed(time.Now()):
			w.cfg.Logger.Warn("registry not in sync: no command is decided", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-connection:
		case <-w.resync:
		case <-ctx.Done():
		}
	}
}

// watchOnce reads the bucket and its changes until the context ends, the connection is lost, or the
// bucket must be read again. It calls synced after the initial entries.
func (w *watcher) watchOnce(ctx context.Context, connection <-chan nats.Status, synced func()) error {
	if err := w.mend(ctx); err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, w.cfg.AckWait)
	defer cancel()
	last, err := bus.LeaderLast(ask, w.cfg.JetStream.Conn(), subjects.AppsStream, subjects.AllApps)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop() // the watch's Stop would wait for a server that may be gone
	changes, err := w.bucket.kv.WatchAll(watching)
	if err != nil {
		return fmt.Errorf("watching the bucket: %w", err)
	}
	w.received.Store(0)
	for {
		select {
		case e, open := <-changes.Updates():
			if e != nil {
				w.received.Store(e.Revision())
			}
			switch {
			case !open:
				return errors.New("the watch has ended")
			case e == nil: // end of the initial entries, from a copy of the bucket that may lag
				w.entries.markSynced(last.Seq)
				synced()
			default:
				w.apply(e)
			}
		case status := <-connection:
			w.entries.markStale(nats.ErrDisconnected)
			if status == nats.CONNECTED {
				return errReconnected
			}
		case <-w.resync:
			return errResync
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply applies a change that the watch has delivered.
func (w *watcher) apply(e jetstream.KeyValueEntry) {
	if e.Operation() == jetstream.KeyValuePut {
		w.entries.update(e.Key(), valueOf(e))
	} else {
		w.entries.forget(e.Key(), e.Revision())
	}
	w.entries.advance(e.Revision()) // only afterwards: a goroutine in await must find the entry
}

// readAgain makes run read the bucket again.
func (w *watcher) readAgain() {
	select {
	case w.resync <- struct{}{}:
	default: // a resync is pending
	}
}

// errReconnected is the reason to read the bucket again after a lost connection: operators may have
// changed it meanwhile.
var errReconnected = errors.New("the connection was lost and is back")

// errResync is the reason to read the bucket again over the same connection: another replica has
// read a change that this one has not, or the bucket was recreated.
var errResync = errors.New("a change of the apps was missed, or the bucket was recreated")
