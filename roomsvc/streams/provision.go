package streams

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

// Timeouts for a cluster that is still electing its leaders: in all, and for one try.
const (
	provisionTimeout = time.Minute
	provisionTry     = 5 * time.Second
)

// Provision checks the server, ensures the streams and opens them. Then it calls use, which opens
// what works on the streams. It tries all of that again while the cluster may become ready. It
// returns a *LostError if a stream is lost and the configuration does not allow to begin without it,
// and a *bus.StreamDiffersError or, with NoProvision, a *bus.StreamMissingError for a stream.
func (s *Streams) Provision(ctx context.Context, use func(context.Context) error) error {
	var outage bus.Outage
	began := time.Now()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		try, cancel := context.WithTimeout(ctx, provisionTry)
		defer cancel()
		err := s.open(try)
		if err == nil {
			err = use(try)
		}
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

func (s *Streams) open(ctx context.Context) error {
	js := s.cfg.JetStream
	if err := bus.CheckServer(ctx, s.cfg.Conn, js); err != nil {
		return err
	}
	if err := s.CheckLosses(ctx); err != nil {
		return err
	}
	if err := s.ensureRequired(ctx); err != nil {
		return err
	}
	var err error
	if s.events, err = js.Stream(ctx, subjects.Events); err != nil {
		return fmt.Errorf("opening the stream %s: %w", subjects.Events, err)
	}
	if info := s.events.CachedInfo(); s.cfg.Copies == 1 && info.Cluster != nil && info.Cluster.Name != "" {
		s.log.Warn("streams have one copy on a NATS cluster: if its node fails, commands are unavailable; if its disk fails, the data is lost",
			"cluster", info.Cluster.Name, "remedy", "roombus streams --apply --stream-replicas 3, then roombus serve --stream-replicas 3")
	}
	if err = s.allowBatches(ctx); err != nil {
		return fmt.Errorf("allowing batches in the stream %s: %w", subjects.Events, err)
	}
	if s.replays, err = js.Stream(ctx, subjects.Replays); err != nil {
		return fmt.Errorf("opening the stream %s: %w", subjects.Replays, err)
	}
	return nil
}

// ensureRequired ensures the streams that the service cannot run without. Its error names all that
// are missing or differ.
func (s *Streams) ensureRequired(ctx context.Context) error {
	var errs []error
	for _, n := range requirements(s.cfg.Copies) {
		if n.lost == "" {
			err := s.ensure(ctx, n)
			if errors.Is(err, bus.ErrNoCluster) {
				return err // every stream has the same error
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// allowBatches allows atomic batches in the stream of events, unless the service may not change it.
func (s *Streams) allowBatches(ctx context.Context) error {
	if !s.cfg.Batches || s.BatchesAllowed() {
		return nil
	}
	if s.cfg.NoProvision {
		s.log.Warn("commits are not grouped: the stream does not allow batches, and the service may not change it", "stream", subjects.Events)
		return nil
	}
	c := s.events.CachedInfo().Config
	c.AllowAtomicPublish = true
	changed, err := s.cfg.JetStream.UpdateStream(ctx, c)
	if err != nil {
		return err
	}
	s.events = changed
	return nil
}

// ensureOptional ensures the streams that the service can run without.
func (s *Streams) ensureOptional(ctx context.Context) {
	for _, n := range requirements(s.cfg.Copies) {
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

// Ensure ensures one stream, which may have been removed since Provision.
func (s *Streams) Ensure(ctx context.Context, stream string) error {
	for _, n := range requirements(s.cfg.Copies) {
		if n.config.Name == stream {
			return s.ensure(ctx, n)
		}
	}
	return nil
}

// ensure checks that a stream exists with its required configuration. It creates a missing stream
// unless Config.NoProvision is set.
func (s *Streams) ensure(ctx context.Context, n requirement) error {
	var missing *bus.StreamMissingError
	err := bus.CheckStream(ctx, s.cfg.JetStream, n.config, n.demand)
	if s.cfg.NoProvision || !errors.As(err, &missing) {
		return err
	}
	if err = bus.CreateStream(ctx, s.cfg.JetStream, n.config); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return err
	}
	s.log.Info("stream created", "stream", n.config.Name, "storage", strings.ToLower(n.config.Storage.String()), "copies", n.config.Replicas)
	return bus.CheckStream(ctx, s.cfg.JetStream, n.config, n.demand)
}
