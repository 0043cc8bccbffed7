package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/auth"
	"github.com/roombus/roombus/internal/gcpace"
	"github.com/roombus/roombus/internal/identity"
	"github.com/roombus/roombus/roomsvc"
)

const (
	defaultListen = "127.0.0.1:4222"
	drainTimeout  = 15 * time.Second
)

// serve runs the room service, on an embedded NATS server or on another server.
type serve struct {
	conn     connection
	listen   string
	storeDir string
	sync     string
	auth     string // folder; empty: every client is accepted
	insecure bool
	service  roomsvc.Config
}

func newServe() *cobra.Command {
	s := &serve{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the room service, on an embedded NATS server or on a NATS cluster",
		Long: `serve runs the room service until SIGINT or SIGTERM. It then accepts no more requests, finishes the
requests in progress, and exits. A second signal ends it at once.

By default it starts an embedded NATS server with JetStream in this process, which listens for other
processes at --listen. With --nats or --context, or with NATS_URL or NATS_CONTEXT in the
environment, it uses that NATS server, which any number of services may share.

With --auth, the embedded server accepts clients with credentials of the folder that roombus auth init
made, and no others. Without it, the server accepts every client, so it listens on a loopback address
only, unless --insecure is given.

If the stream of events or the registry of apps has been lost, serve answers every request as
unavailable until it is restored. --new-events and --new-registry start the service without it.`,
		Args: none("give the NATS server with --nats"),
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c) },
	}
	s.conn.addFlags(c)
	def := roomsvc.Defaults()
	f := c.Flags()
	s.listen = defaultListen
	f.Var((*filled)(&s.listen), "listen", "address of the embedded NATS server; port 0 takes a free one")
	f.Var((*filled)(&s.storeDir), "store-dir", "folder of the embedded NATS server (default "+defaultStoreDir()+")")
	f.Var((*filled)(&s.auth), "auth", "folder of roombus auth init: the embedded NATS server accepts only clients with its credentials")
	f.BoolVar(&s.insecure, "insecure", false, "let the embedded NATS server listen for other machines although it accepts every client")
	f.StringVar(&s.sync, "sync", "interval", "when the embedded NATS server syncs commits to disk: always, before each is acknowledged, or interval, every two minutes")
	f.IntVar(&s.service.Replicas, streamReplicas, def.Replicas, "copies of each stream, on a NATS cluster: 1, 3 or 5")
	f.BoolVar(&s.service.NoProvision, "no-provision", false, "create no streams and buckets, only check the existing ones; roombus streams shows them")
	f.BoolVar(&s.service.NewRegistry, "new-registry", false, "start although the registry of apps is missing, empty or older than the events record; for one start only")
	f.BoolVar(&s.service.NewEvents, "new-events", false, "start with no rooms although the stream of events is missing and a registry or a snapshot exists; for one start only")
	f.DurationVar(&s.service.Budget, "budget", def.Budget, "time a command may take in all, including the apps")
	f.IntVar(&s.service.MaxInFlight, "max-in-flight", def.MaxInFlight, "requests in progress; one room may have a quarter of them, more are refused as overloaded")
	f.IntVar(&s.service.BreakerFailures, "breaker-failures", def.BreakerFailures, "failures or timeouts in a row, of one app and interface, that open its circuit breaker")
	f.DurationVar(&s.service.BreakerPause, "breaker-pause", def.BreakerPause, "how long an open circuit breaker skips the app before a probe")
	f.DurationVar(&s.service.WorkerWait, "worker-wait", def.WorkerWait, "how long to wait at the start for workers of essential apps; -1s: do not wait")
	s.service.RetainDeleted = def.RetainDeleted
	f.Var((*retention)(s.service.RetainDeleted), "retain-deleted", "minimum time to keep the history of a deleted room, or "+keepForever)
	f.IntVar(&s.service.SnapshotEvery, "snapshot-every", def.SnapshotEvery, "events after which a snapshot is written, for a fast start; -1: only when the service ends")
	f.StringArrayVar(&s.service.ReplyPrefixes, "reply-prefix", nil, "inbox prefix that clients may use in addition to _INBOX; may be repeated")
	addLogFlags(c)
	return c
}

// retention is a flag: a duration, or "forever".
type retention time.Duration

const keepForever = "forever"

func (r *retention) String() string {
	if *r < 0 {
		return keepForever
	}
	return time.Duration(*r).String()
}

func (r *retention) Set(s string) error {
	if s == keepForever {
		*r = retention(roomsvc.KeepDeleted)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("it must be a duration such as %s, or %s", 30*24*time.Hour, keepForever)
	}
	*r = retention(d)
	return nil
}

func (*retention) Type() string { return "duration" }

func defaultStoreDir() string { return filepath.Join(xdg.StateHome, "roombus") }

func (s *serve) run(c *cobra.Command) error {
	mistakes := s.mistakes(c)
	logging, err := logSettings(c)
	if err != nil {
		mistakes = append(mistakes, strings.Split(err.Error(), "\n")...)
	}
	if len(mistakes) > 0 {
		return usage(c, "%s", strings.Join(mistakes, "; "))
	}
	log := logging.New(c.ErrOrStderr())
	s.service.GroupCommits = s.sync == "always"
	me := identity.This()
	s.service.ID, s.service.Metadata = nuid.Next(), me.Metadata()
	log.Info("starting", "version", roomsvc.Version, "revision", me.Revision, "id", s.service.ID, "host", me.Host, "pid", me.PID)
	manager := systemd{log}
	s.service.OnReadiness = manager.status
	nc, stop, err := s.nats(c.Context(), fmt.Sprintf("roombus serve %s %s", me.Host, s.service.ID), log)
	if err != nil {
		return err
	}
	defer stop()
	go gcpace.Run(c.Context())

	s.service.Logger = log
	service, err := roomsvc.Start(c.Context(), nc, s.service)
	if err != nil {
		return denied(nc, err)
	}
	if s.conn.elsewhere() {
		log.Info("connected", "server", nc.ConnectedUrlRedacted(), "version", nc.ConnectedServerVersion())
	}
	manager.ready()
	select {
	case <-c.Context().Done():
	case <-nc.StatusChanged(nats.CLOSED):
		return fmt.Errorf("the connection to NATS has ended: %w", cmp.Or(nc.LastError(), nats.ErrConnectionClosed))
	}
	manager.stopping()
	log.Info("draining; a second signal ends at once")
	draining, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), drainTimeout)
	defer cancel()
	if err := service.Stop(draining); err != nil {
		return fmt.Errorf("draining: %w", err)
	}
	log.Info("stopped")
	return nil
}

// nats connects to NATS under the name. It starts the embedded server first if there is one.
func (s *serve) nats(ctx context.Context, name string, log *slog.Logger) (nc *nats.Conn, stop func(), err error) {
	opts := append(serviceOptions(log), nats.Name(name))
	if s.conn.elsewhere() {
		nc, err = s.conn.settings().Connect(ctx, opts...)
		if err != nil {
			return nil, nil, err
		}
		return nc, nc.Close, nil
	}
	if s.storeDir == "" {
		s.storeDir = defaultStoreDir()
	}
	cfg := embedded.Config{StoreDir: s.storeDir, Listen: s.listen, SyncAlways: s.sync == "always", Logger: log.With("part", "nats")}
	if s.auth != "" {
		if cfg.Operator, err = operator(s.auth); err != nil {
			return nil, nil, err
		}
	}
	server, err := embedded.Start(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	if nc, err = server.Connect(opts...); err != nil {
		server.Shutdown()
		return nil, nil, err
	}
	log.Info("embedded NATS server started", "url", server.URL(), "store_dir", s.storeDir, "sync", s.sync, "auth", s.auth)
	return nc, func() { nc.Close(); server.Shutdown() }, nil
}

func operator(dir string) (*embedded.Operator, error) {
	f, err := auth.Open(dir)
	if err != nil {
		return nil, err
	}
	return f.Operator()
}

// serviceOptions are the options of a connection that never gives up: servers restart, and
// credentials get repaired.
func serviceOptions(log *slog.Logger) []nats.Option {
	return append(bus.LogConnection(log, "commands are unavailable"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(nats.DefaultReconnectBufSize), // for replies; commands and pre-events are not buffered
	)
}
