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
	"github.com/roombus/roombus/subjects"
)

// Version is that of the service, as the micro protocol shows it.
const Version = "0.1.0"

// Config says how a service runs. The zero Config is a good one.
type Config struct {
	// ID tells this service from all others: a subject token. Default: a new one.
	ID string
	// Metadata is what the micro protocol shows beside the id, such as the host. Default: nothing.
	Metadata map[string]string
	// OnReadiness is called when the service becomes ready or unready and when the reason changes, also
	// before Start returns. Calls come one after the other and must not block. Default: nothing is called.
	OnReadiness func(Readiness)
	// Replicas is the number of copies of the stream and the bucket. Default 1.
	Replicas int
	// NoProvision says that somebody else makes the streams and buckets, as Streams has them:
	// then they are looked at and none is made. The consumers of apps still are.
	NoProvision bool
	// NewRegistry lets the service begin although the registry of apps is missing, empty, or older than
	// known: until the apps register again they are not asked. Without it the service answers
	// unavailable until the registry is restored. Set it for one start only.
	NewRegistry bool
	// NewEvents lets the service begin with no rooms although the stream of events is missing or empty
	// beside registered apps or a snapshot. Without it the service answers unavailable until the stream
	// is restored. Set it for one start only.
	NewEvents bool
	// MaxInFlight bounds the requests in progress; more are refused as overloaded. Default
	// 4096. One room may have a quarter of them.
	MaxInFlight int
	// Budget is the time a command may take in all. Default 4 s: clients commonly wait for 5, and
	// the answer must come before they give up.
	Budget time.Duration
	// AckWait is how long JetStream is waited for before the outcome of a commit counts as
	// unknown. Default 2 s.
	AckWait time.Duration
	// CommitPatience is how long a commit is tried again while JetStream cannot. Default 2 s.
	CommitPatience time.Duration
	// MaxConflicts is how many lost races a command is tried again after. Default 16.
	MaxConflicts int
	// BreakerFailures is how many failures or timeouts in a row of an app, for one interface,
	// open its circuit breaker. Default 5.
	BreakerFailures int
	// BreakerPause is how long an open breaker keeps the app from being asked before a probe.
	// Default 5 s.
	BreakerPause time.Duration
	// WorkerWait is how long a starting service waits, before it serves, for a live worker of each app
	// that is essential for something, enabled and no shadow. Default 5 s; negative: it does not wait.
	WorkerWait time.Duration
	// RetainDeleted is how long the history of a deleted room is kept in the stream at least; 0
	// is no longer than it takes to see that nobody has yet to read it. KeepDeleted, or whatever
	// else is negative, is for ever. Default, for nil, 30 days.
	RetainDeleted *time.Duration
	// SnapshotEvery is the number of events after which a snapshot of the rooms is written, for
	// the next start. Default 100,000; negative: one is only written at Stop.
	SnapshotEvery int
	// GroupCommits commits the changes of different rooms together when many come at once. It is
	// for a single NATS server that syncs each commit to disk: there it is faster. Elsewhere it
	// is slower, and with Replicas it is refused.
	GroupCommits bool
	// StreamCheck is how often the service looks whether the streams, their events and the consumers of
	// apps are as they must be. Default 1 min.
	StreamCheck time.Duration
	// ReplyPrefixes are inbox prefixes of clients beside _INBOX.
	ReplyPrefixes []string
	// Logger gets what operators should know. Default: nowhere.
	Logger *slog.Logger
}

// KeepDeleted is a Config.RetainDeleted that keeps the history of deleted rooms for ever.
const KeepDeleted time.Duration = -1

// Defaults is the zero Config with every default filled in.
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
			errs = append(errs, fmt.Errorf("ReplyPrefixes: %q must begin with an underscore, lest answers go to subjects that mean something", prefix))
		}
	}
	return errors.Join(errs...)
}

// startTimeout bounds starting: a long stream takes its time to read.
const startTimeout = 10 * time.Minute

// Service is a running room service.
type Service struct {
	cfg    Config
	log    *slog.Logger
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	append appender
	// replays is the stream of dead letters that apps get again.
	replays   jetstream.Stream
	micro     *bus.Service
	out       *bus.Batcher
	requester *bus.Requester
	commits   *bus.Requester
	errors    errorCounts
	late      atomic.Uint64 // verdicts
	lateLines roomLines     // about late verdicts, by app
	lost      atomic.Uint64 // messages of the stream
	// conflicts are the commits that another service was faster than.
	conflicts   atomic.Uint64
	behindLines roomLines   // about rooms that the stream lacks events of
	gone        atomic.Bool // the stream of events does not exist
	outage      bus.Outage  // of JetStream, or of the stream
	brokenOff   bus.Outage  // of reading the stream, which is tried again at once
	unread      atomic.Bool // the stream cannot be read
	probing     atomic.Bool // silent asks whether JetStream answers
	unwritten   bus.Outage  // of the record of the registry
	stale       atomic.Bool // the registry lacks what this service knows, and that was logged

	depends    dependencies
	readiness  readiness
	apps       *apps
	projection *projection
	snapshots  *snapshots
	id         string // of this one among all of them
	lanes      *lanes
	handovers  handovers
	undecided  undecided
	pending    pendingCommits
	recorder   *recorder

	reconnected chan nats.Status // the connection was lost and is back
	connection  chan nats.Status // the same, and that it was lost
	ctx         context.Context
	stop        context.CancelFunc
	running     sync.WaitGroup
	resync      chan struct{} // the registry lacks what another service knows
	listening   chan struct{} // rounds that are listened to though nobody waits for them
}

// Start runs a room service on the connection until Stop. It returns when the service has
// read the stream, from the latest snapshot on if there is one, has waited for workers of essential
// apps (Config.WorkerWait), and serves requests; the context bounds the starting only. The
// caller closes the connection.
//
// If the stream of events or the registry of apps has been lost, Start answers every request with an
// error of code unavailable, until it is restored or the context ends. Config.NewEvents and
// Config.NewRegistry begin without it.
//
// It returns bus.ErrNoJetStream or bus.ErrServerTooOld if the server will not do, and a
// *bus.StreamDiffersError or, with NoProvision, a *bus.StreamMissingError for a stream.
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
		snapshots:   newSnapshots(js),
		lanes:       newLanes(max(1, cfg.MaxInFlight/4)),
		resync:      make(chan struct{}, 1),
		listening:   make(chan struct{}, cfg.MaxInFlight),
		recorder:    newRecorder(js, cfg.AckWait, writers, cfg.Logger),
		reconnected: nc.StatusChanged(nats.CONNECTED),
		connection:  nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.start(ctx); err != nil {
		s.end()
		if s.micro != nil {
			_ = s.micro.Stop(s.ctx) // which has ended, as what is in progress has
		}
		return nil, err
	}
	return s, nil
}

func (s *Service) start(ctx context.Context) error {
	s.reportReadiness()
	if err := s.openInboxes(); err != nil {
		return err
	}
	if err := s.provisionOrStandBy(ctx); err != nil {
		return err
	}
	s.reportReadiness()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.restore(ctx)
	s.running.Go(func() { s.recorder.run(s.ctx) })
	s.running.Go(func() { s.follow(s.ctx) })
	s.running.Go(func() { s.forgetCommands(s.ctx) })
	s.running.Go(func() { s.watchApps(s.ctx) })
	s.running.Go(func() { s.deadLetterUndelivered(s.ctx) })
	if err := s.apps.awaitSync(ctx); err != nil {
		return err
	}
	s.keepRecord(ctx)
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	if err := s.checkIntegrity(ctx); err != nil {
		return err
	}
	s.running.Go(func() { s.retain(s.ctx) })
	s.running.Go(func() { s.checkRegistry(s.ctx) })
	s.running.Go(func() { s.checkDependencies(s.ctx) })
	s.running.Go(func() { s.findNewWorkers(s.ctx) })
	if err := s.awaitWorkers(ctx); err != nil {
		return err
	}
	s.readiness.started.Store(true)
	var err error
	s.micro, err = bus.NewService(s.out, bus.ServiceConfig{
		Name:          subjects.Service,
		ID:            s.id,
		Version:       Version,
		Metadata:      s.cfg.Metadata,
		Description:   "roombus room service: creates and deletes rooms, lets users join and leave",
		MaxInFlight:   s.cfg.MaxInFlight,
		ReplyPrefixes: s.cfg.ReplyPrefixes,
		Refuse:        s.refuse,
		Data:          s.endpointData,
		Logger:        s.log,
	}, s.endpoints()...)
	if err != nil {
		return err
	}
	if err := s.nc.FlushWithContext(ctx); err != nil { // now the server knows of the endpoints
		return fmt.Errorf("starting to serve: %w", err)
	}
	s.running.Go(func() { s.takeSnapshots(s.ctx) })
	s.running.Go(func() { s.watchReadiness(s.ctx) })
	n := s.projection.counts()
	s.log.Info("serving", "rooms", n.rooms, "apps", len(s.apps.list()), "last_seq", n.seq, "quarantined", n.quarantined)
	return nil
}

// Stop takes no more requests, finishes those in progress, and writes their rejections and a
// snapshot. It returns when the service has ended: at the latest when the context ends, or after a minute.
func (s *Service) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := s.micro.Stop(ctx)
	s.recorder.finish(ctx)
	s.takeLastSnapshot(ctx)
	s.end()
	return err
}

// end ends what runs beside the requests.
func (s *Service) end() {
	s.stop()
	s.running.Wait()
	s.nc.RemoveStatusListener(s.reconnected)
	s.nc.RemoveStatusListener(s.connection)
	for _, a := range []*bus.Requester{s.requester, s.commits} {
		if a != nil {
			_ = a.Close() // fails only if the connection is closed, and then it is gone
		}
	}
}

// openInboxes lets apps and JetStream answer. Acknowledgements have an inbox of their own: they do
// not wait behind what has to be said of apps that are late.
func (s *Service) openInboxes() (err error) {
	if s.requester, err = bus.NewRequester(s.out); err != nil {
		return err
	}
	if s.commits, err = bus.NewRequester(s.out); err != nil {
		return err
	}
	if err = s.subscribeDeciding(); err != nil {
		return fmt.Errorf("listening to the other replicas: %w", err)
	}
	s.append = s.commits.Append
	if s.cfg.GroupCommits {
		s.append = bus.NewAppendGroup(s.js, s.commits).Append
	}
	return nil
}
