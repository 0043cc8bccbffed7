package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// watchRetry is the wait before the bucket is watched again.
const watchRetry = 100 * time.Millisecond

// watchApps keeps the registry up with the bucket until the context ends. From the moment that
// the connection is lost until the bucket has been read anew no command is decided: operators
// may have changed everything meanwhile.
func (s *Service) watchApps(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.watchOnce(ctx)
		s.apps.setKnown(false)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errReconnected) {
			s.log.Warn("watching the apps again", "error", err)
		}
		select {
		case <-time.After(watchRetry):
		case <-ctx.Done():
		}
	}
}

// watchOnce learns what is in the bucket, and what changes, until the context ends, the
// connection was lost, or something is amiss with the bucket.
func (s *Service) watchOnce(ctx context.Context) error {
	status, err := s.apps.kv.Status(ctx)
	if err != nil {
		return fmt.Errorf("looking at the bucket: %w", err)
	}
	if bucket, ok := status.(*jetstream.KeyValueBucketStatus); ok {
		s.apps.recognize(bucket.StreamInfo().Created)
	}
	w, err := s.apps.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watching the bucket: %w", err)
	}
	defer func() { _ = w.Stop() }() // fails only if it has ended
	for {
		select {
		case e, open := <-w.Updates():
			switch {
			case !open:
				return errors.New("the watch has ended")
			case e == nil: // everything that was there has come
				s.apps.setKnown(true)
			case e.Operation() != jetstream.KeyValuePut:
				s.apps.forget(e.Key(), e.Revision())
			default:
				s.apps.update(e.Key(), e.Value(), e.Revision())
			}
		case status := <-s.connection:
			s.apps.setKnown(false)
			if status == nats.CONNECTED {
				return errReconnected
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
