package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// registryRecord is the record of the registry in the metadata of the stream of events. There it
// exists as long as there are events to protect.
type registryRecord struct {
	revision uint64
	apps     []string // registered at that revision
}

// recordedBytes bounds the names of apps in the record: the server allows 128 KiB of metadata.
const recordedBytes = 32 << 10

// recordOf returns the record in the metadata of the stream.
func recordOf(events jetstream.StreamConfig) (r registryRecord, ok bool) {
	revision, err := strconv.ParseUint(events.Metadata[subjects.RegistryRevision], 10, 64)
	if err != nil {
		return registryRecord{}, false
	}
	r.revision = revision
	if apps := events.Metadata[subjects.RegistryApps]; apps != "" {
		r.apps = strings.Split(apps, ",")
	}
	return r, true
}

func (r registryRecord) equal(o registryRecord) bool {
	return r.revision == o.revision && slices.Equal(r.apps, o.apps)
}

// record returns the record of the known registrations. ok is false unless they are in sync with
// the bucket.
func (a *apps) record() (r registryRecord, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.revision = a.revision
	size := 0
	for _, m := range a.list() {
		if size += len(m.ID) + 1; size <= recordedBytes {
			r.apps = append(r.apps, m.ID)
		}
	}
	slices.Sort(r.apps)
	return r, a.isSynced()
}

// keepRecord updates the record with the known registrations, unless another service has recorded a
// later revision. It logs an error; checkRegistry tries again.
func (s *Service) keepRecord(ctx context.Context) {
	if s.cfg.NoProvision {
		return // the service may not change the stream
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
	defer cancel()
	err := s.recordKnown(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		// Commands are unavailable, and that has been logged.
	case err != nil:
		if s.health.isUnavailable() || !s.recordOutage.Failed(time.Now()) {
			return
		}
		s.log.Warn("cannot record the revision of the registry; a loss of the registry may go unnoticed", "stream", subjects.Events, "error", err)
	default:
		if lasted, log := s.recordOutage.Ended(time.Now()); log {
			s.log.Info("the revision of the registry is recorded again", "outage", lasted.Round(time.Millisecond))
		}
	}
}

func (s *Service) recordKnown(ctx context.Context) error {
	for {
		known, ok := s.apps.record()
		if !ok || known.revision == 0 {
			return nil
		}
		info, err := s.stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
		}
		is, _ := recordOf(info.Config)
		if is.revision > known.revision || is.equal(known) {
			return nil
		}
		// Another service may overwrite it with an earlier revision at the same time, so it is checked again.
		if err := s.writeRecord(ctx, info.Config, known); err != nil {
			return err
		}
	}
}

// writeRecord replaces the record.
func (s *Service) writeRecord(ctx context.Context, events jetstream.StreamConfig, r registryRecord) error {
	events.Metadata = maps.Clone(events.Metadata)
	if events.Metadata == nil {
		events.Metadata = make(map[string]string)
	}
	events.Metadata[subjects.RegistryRevision] = strconv.FormatUint(r.revision, 10)
	events.Metadata[subjects.RegistryApps] = strings.Join(r.apps, ",")
	if _, err := s.js.UpdateStream(ctx, events); err != nil {
		return fmt.Errorf("updating the metadata of stream %s: %w", subjects.Events, err)
	}
	return nil
}

// acceptRegistry records the registry as it is, also if it is older than recorded.
func (s *Service) acceptRegistry(ctx context.Context) error {
	if s.cfg.NoProvision {
		return nil
	}
	registry, err := bus.StreamInfo(ctx, s.js, subjects.AppsStream)
	if err != nil {
		return err
	}
	info, err := s.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
	}
	if is, ok := recordOf(info.Config); ok && is.revision <= endOf(registry) {
		return nil
	}
	return s.writeRecord(ctx, info.Config, registryRecord{revision: endOf(registry)})
}
