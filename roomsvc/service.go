package roomsvc

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomsvc/health"
	"github.com/roombus/roombus/roomsvc/hooks"
	"github.com/roombus/roombus/roomsvc/peers"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/roomsvc/rejections"
	"github.com/roombus/roombus/subjects"
)

// Version is the version of the service in the micro protocol.
const Version = "0.1.0"

// startTimeout bounds the start. Reading a long stream takes time.
const startTimeout = 10 * time.Minute

// rejectionWriters is the number of rejections that are written concurrently. With a single writer
// each rejection would wait for JetStream's ack of the one before.
const rejectionWriters = 16

// Service is a running room service.
type Service struct {
	cfg Config
	connection
	state
	life

	health    *health.Health
	hooks     *hooks.Hooks
	peers     *peers.Peers
	recorder  *rejections.Recorder
	commands  *commands
	endpoints *endpoints
	micro     *bus.Service
}

// life is the time between the start of a service and its end.
type life struct {
	ctx     context.Context // of requests and background goroutines
	stop    context.CancelFunc
	running sync.WaitGroup // the background goroutines
}

// Start runs a room service on the connection until Stop. It returns when the service has read the
// stream, from the latest snapshot on if there is one, has waited for workers of essential apps
// (Config.WorkerWait), and serves requests. The context bounds only the start. The caller closes
// the connection.
//
// If the stream of events or the registry of apps has been lost, Start answers every request with
// an error of code unavailable, until it is restored or the context ends. Config.NewEvents and
// Config.NewRegistry start without it.
//
// It returns bus.ErrNoJetStream or bus.ErrServerTooOld if the server does not meet the
// requirements, and a *bus.StreamDiffersError or, with NoProvision, a *bus.StreamMissingError for a
// stream.
func Start(ctx context.Context, nc *nats.Conn, cfg Config) (*Service, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cfg.ID = cmp.Or(cfg.ID, nuid.Next())
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(cfg.AckWait))
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	s := &Service{
		cfg:        cfg,
		connection: newConnection(nc, js),
		recorder:   rejections.New(rejections.Config{To: js, AckWait: cfg.AckWait, Writers: rejectionWriters, Logger: cfg.Logger}),
	}
	s.snapshots = projection.NewSnapshots(js)
	s.streams = s.newStreams()
	s.peers = peers.New(peers.Config{ID: s.cfg.ID, Conn: nc, AckWait: cfg.AckWait})
	s.health = health.New(health.Config{
		Conn: nc, JetStream: js, AckWait: cfg.AckWait, OnReadiness: cfg.OnReadiness, Logger: cfg.Logger,
		Rooms:     func() health.Rooms { return s.projection },
		AwaitApps: func(ctx context.Context) error { return s.registry.AwaitSync(ctx) },
	})
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.start(ctx); err != nil {
		s.end()
		if s.micro != nil {
			_ = s.micro.Stop(s.ctx) // the context and all requests have ended
		}
		return nil, err
	}
	return s, nil
}

func (s *Service) start(ctx context.Context) error {
	s.health.Report()
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.provisionOrStandBy(ctx); err != nil {
		return err
	}
	s.health.Report()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.snapshots.Restore(ctx, s.projection)
	s.running.Go(func() { s.recorder.Run(s.ctx) })
	s.running.Go(func() { s.projection.Run(s.ctx) })
	s.running.Go(func() { s.registry.Run(s.ctx) })
	if err := s.registry.AwaitSync(ctx); err != nil {
		return err
	}
	s.registry.KeepRecord(ctx)
	if err := s.projection.CatchUp(ctx); err != nil {
		return err
	}
	if err := s.projection.CheckIntegrity(ctx); err != nil {
		return err
	}
	s.running.Go(func() { s.newJanitor().Run(s.ctx) })
	s.running.Go(func() { s.checkDependencies(s.ctx) })
	s.running.Go(func() { s.hooks.Run(s.ctx) })
	if s.cfg.WorkerWait >= 0 {
		if err := s.hooks.AwaitWorkers(ctx, s.cfg.WorkerWait); err != nil {
			return err
		}
	}
	s.health.Started()
	if err := s.acceptRequests(ctx); err != nil {
		return err
	}
	s.running.Go(func() { s.snapshots.Run(s.ctx, s.projection) })
	s.running.Go(func() { s.health.Run(s.ctx) })
	n := s.projection.Stats()
	s.cfg.Logger.Info("serving", "rooms", n.Rooms, "apps", len(s.registry.List()), "last_seq", n.LastSeq, "quarantined", n.Quarantined)
	return nil
}

// acceptRequests returns when the server has the subscriptions of the endpoints.
func (s *Service) acceptRequests(ctx context.Context) (err error) {
	s.commands = s.newCommands()
	s.endpoints = s.newEndpoints()
	s.micro, err = bus.NewService(s.out, bus.ServiceConfig{
		Name:          subjects.Service,
		ID:            s.cfg.ID,
		Version:       Version,
		Metadata:      s.cfg.Metadata,
		Description:   "roombus room service: creates, changes and deletes rooms, lets users join and leave",
		MaxInFlight:   s.cfg.MaxInFlight,
		ReplyPrefixes: s.cfg.ReplyPrefixes,
		Refuse:        s.endpoints.refuse,
		Data:          s.endpointData,
		Logger:        s.cfg.Logger,
	}, s.endpoints.list()...)
	if err != nil {
		return err
	}
	if err := s.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("starting to serve: %w", err)
	}
	return nil
}

// Stop takes no more requests, finishes the requests in progress, and writes their rejections and a
// snapshot. It returns when the service has ended, at the latest when the context ends or after a
// minute.
func (s *Service) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := s.micro.Stop(ctx)
	s.recorder.Finish(ctx)
	if s.ctx.Err() == nil { // else the service was stopped before
		s.snapshots.TakeLast(ctx, s.projection)
	}
	s.end()
	return err
}

// end stops the background goroutines.
func (s *Service) end() {
	s.stop()
	if s.hooks != nil {
		s.hooks.Close()
	}
	s.running.Wait()
	s.nc.RemoveStatusListener(s.reconnected)
	s.closeInboxes()
}

// listen opens what receives messages of apps and other replicas.
func (s *Service) listen() error {
	if err := s.openInboxes(); err != nil {
		return err
	}
	s.hooks = hooks.New(hooks.Config{
		Conn: s.nc, Requester: s.verdicts, Budget: s.cfg.Budget, MaxAbandoned: s.cfg.MaxInFlight,
		BreakerFailures: s.cfg.BreakerFailures, BreakerPause: s.cfg.BreakerPause, Logger: s.cfg.Logger,
	})
	if err := s.peers.Subscribe(); err != nil {
		return fmt.Errorf("listening to the other replicas: %w", err)
	}
	return nil
}
