package roomsvc

import (
	"context"

	"github.com/roombus/roombus/roomsvc/appstate"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/roomsvc/registry"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// state is what a service keeps in NATS: the streams, and what it reads from them.
type state struct {
	streams    *streams.Streams
	snapshots  *projection.Snapshots
	projection *projection.Projection
	registry   *registry.Registry
}

// newStreams returns the streams of this service.
func (s *Service) newStreams() *streams.Streams {
	return streams.New(streams.Config{
		Conn: s.nc, JetStream: s.js, Snapshots: s.snapshots, Copies: s.cfg.Replicas, NoProvision: s.cfg.NoProvision,
		Batches: s.cfg.GroupCommits, NewEvents: s.cfg.NewEvents, NewRegistry: s.cfg.NewRegistry, AckWait: s.cfg.AckWait,
		Logger: s.cfg.Logger,
	})
}

// open opens what works on the streams, once they are there. After an error it is called again.
func (s *Service) open(ctx context.Context) (err error) {
	s.projection = projection.New(projection.Config{
		ID: s.cfg.ID, Conn: s.nc, Stream: s.streams.Events(), Reconnected: s.reconnected, AckWait: s.cfg.AckWait,
		SnapshotEvery: s.cfg.SnapshotEvery, EnsureSnapshots: s.ensureSnapshots,
		Observer: s.health, Logger: s.cfg.Logger,
	})
	s.registry, err = registry.Open(ctx, registry.Config{
		JetStream: s.js, Events: s.streams.Events(), Replays: s.streams.Replays(), AckWait: s.cfg.AckWait, NoProvision: s.cfg.NoProvision,
		MaxBytes:      func() int { return eventBounds(int(s.nc.MaxPayload())).MaxBytes },
		IsUnavailable: s.health.IsUnavailable, CheckLosses: s.streams.CheckLosses, EnsureBucket: s.ensureRegistry,
		Replicas: appstate.NewReplicas(s.nc, s.cfg.Logger), Changed: s.hooks.Set, Logger: s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	if s.cfg.NewRegistry {
		return s.registry.Accept(ctx)
	}
	return nil
}

// ensureSnapshots ensures the bucket of snapshots, which may have been removed.
func (s *Service) ensureSnapshots(ctx context.Context) error {
	return s.streams.Ensure(ctx, subjects.SnapshotsStream)
}

// ensureRegistry ensures the bucket of the registry, which may have been removed.
func (s *Service) ensureRegistry(ctx context.Context) error {
	return s.streams.Ensure(ctx, subjects.AppsStream)
}
