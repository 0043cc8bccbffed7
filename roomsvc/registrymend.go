package roomsvc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// registryCheck is the interval between checks that the bucket is the one that was read.
const registryCheck = 5 * time.Second

// checkRegistry checks the bucket periodically until the context ends. The watch does not report
// that the bucket was deleted, or that a server came back without it.
func (s *Service) checkRegistry(ctx context.Context) {
	for bus.Sleep(ctx, registryCheck) {
		if _, known := s.apps.record(); !known {
			continue // the watch is reading the bucket
		}
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		bucket, err := bus.StreamInfo(look, s.js, subjects.AppsStream)
		cancel()
		if err != nil {
			continue // the next check may succeed
		}
		if s.apps.differs(bucket) {
			select {
			case s.resync <- struct{}{}:
			default: // a resync is pending
			}
			continue
		}
		s.keepRecord(ctx)
	}
}

// mendRegistry checks whether the bucket is the one that this service has read. If it was recreated
// or has lost its end, mendRegistry writes the missing registrations back before anything is read
// from the bucket. So no command is decided with fewer apps than are known.
func (s *Service) mendRegistry(ctx context.Context) error {
	bucket, err := s.lookUpSettled(ctx)
	if err != nil {
		return err
	}
	if !s.apps.differs(bucket) {
		s.apps.resetIfRecreated(bucket)
		return nil
	}
	known, revision := s.apps.registrations()
	if revision == 0 { // this service knows no registration, but other services may have known some
		if err := s.checkLosses(ctx); err != nil {
			return err
		}
	} else if !s.stale.Swap(true) {
		s.log.Error("registry of apps lost known registrations; writing them back before deciding commands",
			"bucket", subjects.AppsBucket, "exists", bucket != nil, "ends", endOf(bucket), "known", revision, "apps", len(known))
	}
	if bucket == nil {
		if err := s.ensureRegistry(ctx); err != nil {
			return err
		}
	}
	written := 0
	for id, e := range known {
		wrote, err := s.apps.writeBack(ctx, id, e)
		if err != nil {
			return fmt.Errorf("writing the registration of app %s back: %w", id, err)
		}
		if wrote {
			written++
		}
	}
	if bucket, err = bus.StreamInfo(ctx, s.js, subjects.AppsStream); err != nil {
		return err
	}
	if bucket == nil {
		return jetstream.ErrBucketNotFound
	}
	if len(known) > 0 && !s.cfg.NoProvision {
		// The record still has the revision of the earlier bucket.
		info, err := s.stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
		}
		known, _ := s.apps.record()
		if err := s.writeRecord(ctx, info.Config, registryRecord{revision: endOf(bucket), apps: known.apps}); err != nil {
			return err
		}
	}
	s.apps.resetIfRecreated(bucket)
	if s.stale.Swap(false) {
		s.log.Info("registrations written back", "bucket", subjects.AppsBucket, "known", len(known), "written", written)
	}
	return nil
}

// lookUpSettled looks the bucket up. It retries if the bucket seems to have lost its end, since a
// new leader may need a moment until it has the end.
func (s *Service) lookUpSettled(ctx context.Context) (*jetstream.StreamInfo, error) {
	for look := 1; ; look++ {
		bucket, err := bus.StreamInfo(ctx, s.js, subjects.AppsStream)
		if err != nil || look == lossLooks || !s.apps.differs(bucket) {
			return bucket, err
		}
		if !bus.Sleep(ctx, lossRetry) {
			return nil, ctx.Err()
		}
	}
}

func (s *Service) ensureRegistry(ctx context.Context) error {
	for _, n := range requirements(s.cfg.Replicas) {
		if n.config.Name == subjects.AppsStream {
			return s.ensure(ctx, n)
		}
	}
	return nil
}

// registrations returns the known registrations, and the revision of the bucket up to which they
// are known.
func (a *apps) registrations() (known map[string]entry, revision uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known = make(map[string]entry)
	for id, e := range a.entries {
		if !e.gone {
			known[id] = e
		}
	}
	return known, a.revision
}

// writeBack stores a known registration if the bucket has none of the app, or an older one: stored
// before, and of no later version. It returns false if the entry in the bucket stays.
func (a *apps) writeBack(ctx context.Context, id string, known entry) (bool, error) {
	for {
		there, err := a.kv.Get(ctx, id)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			_, err = a.kv.Create(ctx, id, known.data)
		case err != nil:
			return false, err
		case bytes.Equal(there.Value(), known.data), !known.isLaterThan(there):
			return false, nil
		default:
			_, err = a.kv.Update(ctx, id, known.data, there.Revision())
		}
		if isConflict(err) {
			if !bus.Sleep(ctx, staleWait) {
				return false, ctx.Err()
			}
			continue // another service was faster
		}
		return err == nil, err
	}
}

func (e entry) isLaterThan(there jetstream.KeyValueEntry) bool {
	stored, err := decodeRegistration(there.Value())
	if err != nil {
		return true
	}
	return there.Revision() < e.revision && !version(stored).GreaterThan(version(*e.registration))
}

func version(r room.Registration) *semver.Version { return semver.MustParse(r.Latest()) } // it has been validated
