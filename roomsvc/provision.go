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
	"github.com/roombus/roombus/subjects"
)

// How long a cluster that is still electing its leaders is waited for, and one answer of it.
const (
	provisionTimeout = time.Minute
	provisionTry     = 5 * time.Second
)

// provision checks the server and opens the stream and the bucket, once everything that the
// service needs is there.
func (s *Service) provision(ctx context.Context) error {
	var outage bus.Outage
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		try, cancel := context.WithTimeout(ctx, provisionTry)
		defer cancel()
		err := s.open(try)
		if err != nil && !bus.NotReady(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(provisionTimeout),
		backoff.WithNotify(func(err error, _ time.Duration) {
			if outage.Failed(time.Now()) {
				s.log.Warn("JetStream is not ready yet; trying again", "error", err, "at_most", provisionTimeout)
			}
		}))
	if err != nil {
		return err
	}
	s.ensureOptional(ctx)
	return nil
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
				return err // it is the same for every stream
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
		s.log.Warn("the streams have one copy on a NATS cluster: without the node that has it every command is unavailable, and its disk is the only one",
			"cluster", info.Cluster.Name, "remedy", "roombus streams --apply --replicas 3, then roombus serve --replicas 3")
	}
	if err = s.allowGroups(ctx); err != nil {
		return fmt.Errorf("letting the stream %s take batches: %w", subjects.Events, err)
	}
	s.projection = newProjection(s.stream.CachedInfo().Created)
	if s.replays, err = s.js.Stream(ctx, subjects.Replays); err != nil {
		return fmt.Errorf("opening the stream %s: %w", subjects.Replays, err)
	}
	kv, err := s.js.KeyValue(ctx, subjects.AppsBucket)
	if err != nil {
		return fmt.Errorf("opening the bucket %s: %w", subjects.AppsBucket, err)
	}
	s.apps = newApps(kv, s.cfg)
	if s.cfg.NewRegistry {
		return s.acceptRegistry(ctx)
	}
	return nil
}

// allowGroups lets the stream of events take what is committed together. If it may not be changed,
// each commit goes alone.
func (s *Service) allowGroups(ctx context.Context) error {
	c := s.stream.CachedInfo().Config
	if !s.cfg.GroupCommits || c.AllowAtomicPublish {
		return nil
	}
	if s.cfg.NoProvision {
		s.append = s.commits.Append
		s.log.Warn("commits are not grouped: the stream does not allow batches, and is not to be changed", "stream", subjects.Events)
		return nil
	}
	c.AllowAtomicPublish = true
	_, err := s.js.UpdateStream(ctx, c)
	return err
}

// haveOptional sees to what the service can do without.
func (s *Service) ensureOptional(ctx context.Context) {
	for _, n := range requirements(s.cfg.Replicas) {
		if n.lost == "" {
			continue
		}
		try, cancel := context.WithTimeout(ctx, provisionTry)
		if err := s.ensure(try, n); err != nil {
			s.log.Warn("a stream is missing: until it is there, what should go to it is dropped", "stream", n.config.Name, "lost", n.lost, "error", err)
		}
		cancel()
	}
}

// haveSnapshots sees to the bucket of snapshots, which may have been removed.
func (s *Service) ensureSnapshots(ctx context.Context) error {
	n := requirement{config: snapshotsConfig()}
	n.config.Replicas = s.cfg.Replicas
	return s.ensure(ctx, n)
}

// have returns nil if the stream is there and as it must be, and makes it before if it may.
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
