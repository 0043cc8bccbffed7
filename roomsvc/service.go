package roomsvc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/health"
	"github.com/roombus/roombus/roomsvc/hooks"
	"github.com/roombus/roombus/roomsvc/lanes"
	"github.com/roombus/roombus/roomsvc/peers"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/roomsvc/registry"
	"github.com/roombus/roombus/roomsvc/rejections"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// Version is the version of the service in the micro protocol.
const Version = "0.1.0"

// Config configures a service. The zero Config uses the defaults.
type Config struct {
	// ID identifies this service among all replicas. It must be a subject token. Default: a new id.
	ID string
	// Metadata is shown in the micro protocol beside the id, such as the host. Default: none.
	Metadata map[string]string
	// OnReadiness is called when the service becomes ready or unready and when the reason changes,
	// also before Start returns. Calls come one after the other and must not block. Default: no
	// call.
	OnReadiness func(Readiness)
	// Replicas is the number of copies of the stream and the bucket. Default 1.
	Replicas int
	// NoProvision says that an operator creates the streams and buckets, as streams.Configs
	// returns them. Then the service checks them and creates none. It still creates the
	// consumers of apps.
	NoProvision bool
	// NewRegistry lets the service start although the registry of apps is missing, empty, or older
	// than recorded. Apps are not asked until they register again. Without it the service answers
	// unavailable until the registry is restored. Set it for one start only.
	NewRegistry bool
	// NewEvents lets the service start with no rooms although the stream of events is missing, or
	// is empty beside registered apps or a snapshot. Without it the service answers unavailable
	// until the stream is restored. Set it for one start only.
	NewEvents bool
	// MaxInFlight bounds the requests in progress. More requests are refused as overloaded. One
	// room may have a quarter of them. Default 4096.
	MaxInFlight int
	// Budget is the total time of a command. Default 4 s: clients commonly wait for 5 s, and the
	// answer must come before.
	Budget time.Duration
	// AckWait is how long the service waits for JetStream before the outcome of a commit counts as
	// unknown. Default 2 s.
	AckWait time.Duration
	// CommitPatience is how long a commit is retried while JetStream fails. Default 2 s.
	CommitPatience time.Duration
	// MaxConflicts is how often a command is retried after a conflict. Default 16.
	MaxConflicts int
	// BreakerFailures is the number of failures or timeouts in a row that open the circuit breaker
	// of an app and interface. Default 5.
	BreakerFailures int
	// BreakerPause is how long an open breaker waits before it probes the app. Default 5 s.
	BreakerPause time.Duration
	// WorkerWait is how long a starting service waits, before it serves, for a live worker of each
	// app that is enabled, essential and no shadow. Default 5 s; negative: it does not wait.
	WorkerWait time.Duration
	// RetainDeleted is the minimum time for which the history of a deleted room stays in the
	// stream. 0 keeps it only until every consumer has read it. KeepDeleted, or any negative value,
	// keeps it for ever. Default, for nil: 30 days.
	RetainDeleted *time.Duration
	// SnapshotEvery is the number of events after which a snapshot of the rooms is written, for the
	// next start. Default 100,000; negative: one is only written at Stop.
	SnapshotEvery int
	// GroupCommits commits changes of different rooms together when many come at once. It is faster
	// with a single NATS server that syncs each commit to disk. Elsewhere it is slower. It is
	// refused with Replicas above 1.
	GroupCommits bool
	// StreamCheck is the interval between checks of the streams, their events and the consumers of
	// apps. Default 1 min.
	StreamCheck time.Duration
	// ReplyPrefixes are the inbox prefixes of clients, in addition to _INBOX.
	ReplyPrefixes []string
	// Logger gets the log of the service. Default: none.
	Logger *slog.Logger
}

// KeepDeleted is the Config.RetainDeleted that keeps the history of deleted rooms for ever.
const KeepDeleted time.Duration = -1

// Defaults returns the zero Config with every default filled in.
func Defaults() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Replicas, 1)
	def(&c.MaxInFlight, 4096)
	def(&c.MaxConflicts, 16)
	def(&c.BreakerFailures, 5)
	def(&c.SnapshotEvery, 100_000)
	defTime(&c.BreakerPause, 5*time.Second)
	defTime(&c.WorkerWait, 5*time.Second)
	defTime(&c.Budget, 4*time.Second)
	defTime(&c.AckWait, 2*time.Second)
	defTime(&c.CommitPatience, 2*time.Second)
	defTime(&c.StreamCheck, time.Minute)
	if c.RetainDeleted == nil {
		c.RetainDeleted = new(30 * 24 * time.Hour)
	}
	if c.OnReadiness == nil {
		c.OnReadiness = func(Readiness) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Replicas", int64(c.Replicas)},
		{"MaxInFlight", int64(c.MaxInFlight)},
		{"MaxConflicts", int64(c.MaxConflicts)},
		{"Budget", int64(c.Budget)},
		{"AckWait", int64(c.AckWait)},
		{"CommitPatience", int64(c.CommitPatience)},
		{"StreamCheck", int64(c.StreamCheck)},
		{"BreakerFailures", int64(c.BreakerFailures)},
		{"BreakerPause", int64(c.BreakerPause)},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", f.name))
		}
	}
	if c.ID != "" {
		errs = append(errs, room.ValidateToken("ID", c.ID))
	}
	if c.GroupCommits && c.Replicas > 1 {
		errs = append(errs, fmt.Errorf("GroupCommits is for streams without copies, not for Replicas %d", c.Replicas))
	}
	for _, prefix := range c.ReplyPrefixes {
		if !strings.HasPrefix(prefix, "_") {
			errs = append(errs, fmt.Errorf("ReplyPrefixes: %q must begin with an underscore, so that no reply goes to a subject in use", prefix))
		}
	}
	return errors.Join(errs...)
}

// startTimeout bounds the start. Reading a long stream takes time.
const startTimeout = 10 * time.Minute

// rejectionWriters is the number of rejections that are written concurrently. With a single writer
// each rejection would wait for JetStream's ack of the one before.
const rejectionWriters = 16

// Service is a running room service.
type Service struct {
	cfg    Config
	log    *slog.Logger
	nc     *nats.Conn
	js     jetstream.JetStream
	append appender

	micro     *bus.Service
	out       *bus.Batcher
	requester *bus.Requester
	commits   *bus.Requester
	errors    errorCounts
	// conflicts counts the commits that lost to another service.
	conflicts atomic.Uint64

	health     *health.Health
	registry   *registry.Registry
	hooks      *hooks.Hooks
	projection *projection.Projection
	snapshots  *projection.Snapshots
	streams    *streams.Streams
	id         string // of this service among all replicas
	lanes      *lanes.Lanes
	peers      *peers.Peers
	recorder   *rejections.Recorder

	reconnected chan nats.Status // gets a status when a lost connection is back
	ctx         context.Context
	stop        context.CancelFunc
	running     sync.WaitGroup
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
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(cfg.AckWait))
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	s := &Service{
		cfg: cfg, log: cfg.Logger, nc: nc, js: js, out: bus.NewBatcher(nc),
		id:          cmp.Or(cfg.ID, nuid.Next()),
		snapshots:   projection.NewSnapshots(js),
		lanes:       lanes.New(max(1, cfg.MaxInFlight/4)),
		recorder:    rejections.New(rejections.Config{To: js, AckWait: cfg.AckWait, Writers: rejectionWriters, Logger: cfg.Logger}),
		reconnected: nc.StatusChanged(nats.CONNECTED),
	}
	s.streams = s.newStreams()
	s.peers = peers.New(peers.Config{ID: s.id, Conn: nc, AckWait: cfg.AckWait})
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
	if err := s.openInboxes(); err != nil {
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
	var err error
	s.micro, err = bus.NewService(s.out, bus.ServiceConfig{
		Name:          subjects.Service,
		ID:            s.id,
		Version:       Version,
		Metadata:      s.cfg.Metadata,
		Description:   "roombus room service: creates, changes and deletes rooms, lets users join and leave",
		MaxInFlight:   s.cfg.MaxInFlight,
		ReplyPrefixes: s.cfg.ReplyPrefixes,
		Refuse:        s.refuse,
		Data:          s.endpointData,
		Logger:        s.log,
	}, s.endpoints()...)
	if err != nil {
		return err
	}
	if err := s.nc.FlushWithContext(ctx); err != nil { // then the server has the subscriptions
		return fmt.Errorf("starting to serve: %w", err)
	}
	s.running.Go(func() { s.snapshots.Run(s.ctx, s.projection) })
	s.running.Go(func() { s.health.Run(s.ctx) })
	n := s.projection.Stats()
	s.log.Info("serving", "rooms", n.Rooms, "apps", len(s.registry.List()), "last_seq", n.LastSeq, "quarantined", n.Quarantined)
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
	for _, a := range []*bus.Requester{s.requester, s.commits} {
		if a != nil {
			_ = a.Close() // fails only if the connection is closed
		}
	}
}

// openInboxes opens the inboxes for replies of apps and acknowledgements of JetStream. They are
// two, so that acknowledgements do not wait behind the handling of late verdicts.
func (s *Service) openInboxes() (err error) {
	if s.requester, err = bus.NewRequester(s.out); err != nil {
		return err
	}
	if s.commits, err = bus.NewRequester(s.out); err != nil {
		return err
	}
	s.hooks = hooks.New(hooks.Config{
		Conn: s.nc, Requester: s.requester, Budget: s.cfg.Budget, MaxAbandoned: s.cfg.MaxInFlight,
		BreakerFailures: s.cfg.BreakerFailures, BreakerPause: s.cfg.BreakerPause, Logger: s.log,
	})
	if err = s.peers.Subscribe(); err != nil {
		return fmt.Errorf("listening to the other replicas: %w", err)
	}
	s.append = s.commits.Append
	if s.cfg.GroupCommits {
		s.append = bus.NewAppendGroup(s.js, s.commits).Append
	}
	return nil
}
