package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomsvc/appstate"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/roomsvc/registry"
	"github.com/roombus/roombus/subjects"
)

// Timeouts for a cluster that is still electing its leaders: in all, and for one try.
const (
	provisionTimeout = time.Minute
	provisionTry     = 5 * time.Second
)

// provision checks the server, ensures the streams that the service needs, and opens the stream and
// the bucket.
func (s *Service) provision(ctx context.Context) error {
	var outage bus.Outage
	began := time.Now()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		try, cancel := context.WithTimeout(ctx, provisionTry)
		defer cancel()
		err := s.open(try)
		if err != nil && !mayBecomeReady(err, time.Since(began)) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(provisionTimeout),
		backoff.WithNotify(func(err error, _ time.Duration) {
			if outage.Failed(time.Now()) {
				s.log.Warn("JetStream not ready yet; retrying", "error", err, "at_most", provisionTimeout)
			}
		}))
	if err != nil {
		return err
	}
	s.ensureOptional(ctx)
	return nil
}

// mayBecomeReady reports whether to retry after the error. Nodes that have just started are awaited for
// a shorter time than a leader, since there may be too few nodes for the copies.
func mayBecomeReady(err error, waited time.Duration) bool {
	return bus.NotReady(err) || bus.NoPeers(err) && waited < bus.PeersTimeout
}

func (s *Service) open(ctx context.Context) error {
	if err := bus.CheckServer(ctx, s.nc, s.js); err != nil {
		return err
	}
	if err := s.checkLosses(ctx); err != nil {
		return err
	}
	var errs []error
	for _, n := range requirements(s.cfg.Replicas) {
		if n.lost == "" {
			err := s.ensure(ctx, n)
			if errors.Is(err, bus.ErrNoCluster) {
				return err // every stream has the same error
			}
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	if s.stream, err = s.js.Stream(ctx, subjects.Events); err != nil {
		return fmt.Errorf("opening the stream %s: %w", subjects.Events, err)
	}
	if info := s.stream.CachedInfo(); s.cfg.Replicas == 1 && info.Cluster != nil && info.Cluster.Name != "" {
		s.log.Warn("streams have one copy on a NATS cluster: if its node fails, commands are unavailable; if its disk fails, the data is lost",
			"cluster", info.Cluster.Name, "remedy", "roombus streams --apply --replicas 3, then roombus serve --replicas 3")
	}
	if err = s.allowGroups(ctx); err != nil {
		return fmt.Errorf("allowing batches in the stream %s: %w", subjects.Events, err)
	}
	s.projection = projection.New(projection.Config{
		ID: s.id, Conn: s.nc, Stream: s.stream, Reconnected: s.reconnected, AckWait: s.cfg.AckWait,
		SnapshotEvery: s.cfg.SnapshotEvery, EnsureSnapshots: s.ensureSnapshots,
		Observer: s.health, Logger: s.log,
	})
	if s.replays, err = s.js.Stream(ctx, subjects.Replays); err != nil {
		return fmt.Errorf("opening the stream %s: %w", subjects.Replays, err)
	}
	s.registry, err = registry.Open(ctx, registry.Config{
		JetStream: s.js, Events: s.stream, Replays: s.replays, AckWait: s.cfg.AckWait, NoProvision: s.cfg.NoProvision,
		MaxBytes:      func() int { return eventBounds(int(s.nc.MaxPayload())).MaxBytes },
		IsUnavailable: s.health.IsUnavailable, CheckLosses: s.checkLosses, EnsureBucket: s.ensureRegistry,
		Replicas: appstate.NewReplicas(s.nc, s.log), Changed: s.hooks.Set, Logger: s.log,
	})
	if err != nil {
		return err
	}
	if s.cfg.NewRegistry {
		return s.registry.Accept(ctx)
	}
	return nil
}

// allowGroups allows atomic batches in the stream of events, for group commits. If the service may
// not change the stream, each commit is published alone.
func (s *Service) allowGroups(ctx context.Context) error {
	c := s.stream.CachedInfo().Config
	if !s.cfg.GroupCommits || c.AllowAtomicPublish {
		return nil
	}
	if s.cfg.NoProvision {
		s.append = s.commits.Append
		s.log.Warn("commits are not grouped: the stream does not allow batches, and the service may not change it", "stream", subjects.Events)
		return nil
	}
	c.AllowAtomicPublish = true
	_, err := s.js.UpdateStream(ctx, c)
	return err
}

// ensureOptional ensures the streams that the service can run without.
func (s *Service) ensureOptional(ctx context.Context) {
	for _, n := range requirements(s.cfg.Replicas) {
		if n.lost == "" {
			continue
		}
		try, cancel := context.WithTimeout(ctx, provisionTry)
		if err := s.ensure(try, n); err != nil {
			s.log.Warn("optional stream missing: messages for it are dropped", "stream", n.config.Name, "lost", n.lost, "error", err)
		}
		cancel()
	}
}

// ensureSnapshots ensures the bucket of snapshots, which may have been removed.
func (s *Service) ensureSnapshots(ctx context.Context) error {
	n := requirement{config: snapshotsConfig()}
	n.config.Replicas = s.cfg.Replicas
	return s.ensure(ctx, n)
}

// ensureRegistry ensures the bucket of the registry, which may have been removed.
func (s *Service) ensureRegistry(ctx context.Context) error {
	for _, n := range requirements(s.cfg.Replicas) {
		if n.config.Name == subjects.AppsStream {
			return s.ensure(ctx, n)
		}
	}
	return nil
}

// ensure checks that a stream exists with its required configuration. It creates a missing stream
// unless Config.NoProvision is set.
func (s *Service) ensure(ctx context.Context, n requirement) error {
	var missing *bus.StreamMissingError
	err := bus.CheckStream(ctx, s.js, n.config, n.demand)
	if s.cfg.NoProvision || !errors.As(err, &missing) {
		return err
	}
	if err = bus.CreateStream(ctx, s.js, n.config); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return err
	}
	s.log.Info("stream created", "stream", n.config.Name, "storage", strings.ToLower(n.config.Storage.String()), "copies", n.config.Replicas)
	return bus.CheckStream(ctx, s.js, n.config, n.demand)
}
