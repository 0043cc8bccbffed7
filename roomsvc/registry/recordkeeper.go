package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// recordKeeper keeps the record up to date.
type recordKeeper struct {
	cfg     Config
	entries *entries
	outage  bus.Outage // of writing the record
}

// keep updates the record with the known registrations, unless another service has recorded a later
// revision. It logs an error; the next check tries again.
func (k *recordKeeper) keep(ctx context.Context) {
	if k.cfg.NoProvision {
		return // the service may not change the stream
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.AckWait)
	defer cancel()
	err := k.recordKnown(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		// Commands are unavailable, and that has been logged.
	case err != nil:
		if k.cfg.IsUnavailable() || !k.outage.Failed(time.Now()) {
			return
		}
		k.cfg.Logger.Warn("cannot record the revision of the registry; a loss of the registry may go unnoticed", "stream", subjects.Events, "error", err)
	default:
		if lasted, log := k.outage.Ended(time.Now()); log {
			k.cfg.Logger.Info("the revision of the registry is recorded again", "outage", lasted.Round(time.Millisecond))
		}
	}
}

func (k *recordKeeper) recordKnown(ctx context.Context) error {
	for {
		known, ok := k.entries.record()
		if !ok || known.Revision == 0 {
			return nil
		}
		info, err := k.cfg.Events.Info(ctx)
		if err != nil {
			return fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
		}
		is, _ := subjects.RegistryRecordOf(info.Config.Metadata)
		if is.Revision > known.Revision || is.Equal(known) {
			return nil
		}
		// Another service may overwrite it with an earlier revision at the same time, so it is checked again.
		if err := k.write(ctx, info.Config, known); err != nil {
			return err
		}
	}
}

// write replaces the record.
func (k *recordKeeper) write(ctx context.Context, events jetstream.StreamConfig, r subjects.RegistryRecord) error {
	events.Metadata = r.In(events.Metadata)
	if _, err := k.cfg.JetStream.UpdateStream(ctx, events); err != nil {
		return fmt.Errorf("updating the metadata of stream %s: %w", subjects.Events, err)
	}
	return nil
}

// accept records the registry as it is, also if it is older than recorded.
func (k *recordKeeper) accept(ctx context.Context) error {
	if k.cfg.NoProvision {
		return nil
	}
	registry, err := bus.StreamInfo(ctx, k.cfg.JetStream, subjects.AppsStream)
	if err != nil {
		return err
	}
	info, err := k.cfg.Events.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
	}
	if is, ok := subjects.RegistryRecordOf(info.Config.Metadata); ok && is.Revision <= bus.LastSeq(registry) {
		return nil
	}
	return k.write(ctx, info.Config, subjects.RegistryRecord{Revision: bus.LastSeq(registry)})
}

// replace records the revision at which a bucket ends that replaces an earlier one. The record
// still has the revision of the earlier bucket.
func (k *recordKeeper) replace(ctx context.Context, revision uint64) error {
	if k.cfg.NoProvision {
		return nil
	}
	info, err := k.cfg.Events.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at stream %s: %w", subjects.Events, err)
	}
	known, _ := k.entries.record()
	return k.write(ctx, info.Config, subjects.RegistryRecord{Revision: revision, Apps: known.Apps, Params: known.Params})
}
