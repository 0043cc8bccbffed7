// Package embedded runs a NATS server with JetStream inside this process, on a locked folder, and keeps it
// running when its disk is full.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// The server disconnects a client that does not answer two consecutive pings. Otherwise a worker behind a
// broken link would be sent requests for minutes.
const (
	pingInterval = 2 * time.Second
	maxPingsOut  = 2
)

// Config configures the NATS server inside this process.
type Config struct {
	// StoreDir is the folder of JetStream. Required; created if absent.
	StoreDir string
	// Listen is the host:port for other processes; port 0 selects a free port. Default: none, only
	// this process can connect.
	Listen string
	// SyncAlways syncs every commit to disk before it is acknowledged. Default: the server syncs
	// every two minutes. Commits then survive a crash of the process, but may not survive a loss
	// of power.
	SyncAlways bool
	// Operator makes clients authenticate. Default: the server accepts every client.
	Operator *Operator
	// Logger receives the server's log. Default: discarded.
	Logger *slog.Logger
}

// account is the account of the streams.
func (c *Config) account() string {
	if c.Operator == nil {
		return globalAccount
	}
	return c.Operator.Streams
}

// Server is a NATS server with JetStream inside this process. It holds a lock on its folder while it
// runs. While less than 64 MiB of the disk are free it refuses to store messages.
type Server struct {
	server   *server.Server
	cfg      Config
	lock     *flock.Flock
	stop     context.CancelFunc // stops watching the disk
	watching sync.WaitGroup
}

// Start returns when the server is ready for connections. It returns ErrAddressInUse,
// ErrStoreUnwritable, ErrStoreLocked, ErrOtherAccount, or another error that prevents the server from
// starting.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	opts := &server.Options{
		ServerName:      "roombus",
		DontListen:      cfg.Listen == "",
		JetStream:       true,
		StoreDir:        cfg.StoreDir,
		SyncAlways:      cfg.SyncAlways,
		PingInterval:    pingInterval,
		MaxPingsOut:     maxPingsOut,
		NoSigs:          true,
		NoSystemAccount: false,
	}
	if cfg.Listen != "" {
		if err := listenOn(ctx, cfg.Listen, opts); err != nil {
			return nil, err
		}
	}
	lock, err := lockStore(cfg.StoreDir)
	if err != nil {
		return nil, err
	}
	e := &Server{lock: lock, cfg: cfg}
	if err := e.start(ctx, opts); err != nil {
		e.Shutdown()
		return nil, err
	}
	return e, nil
}

func (e *Server) start(ctx context.Context, opts *server.Options) error {
	if err := checkStreams(opts.StoreDir, e.cfg.account()); err != nil {
		return err
	}
	if e.cfg.Operator != nil {
		if err := e.cfg.Operator.configure(opts); err != nil {
			return err
		}
	}
	logger := e.cfg.Logger
	s, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("configuring the embedded NATS server: %w", err)
	}
	e.server = s
	d := &disk{server: s, account: e.cfg.account(), dir: opts.StoreDir, free: freeBytes, log: logger}
	log := &serverLog{logger: logger, fatal: make(chan string, 1), failed: d.fail}
	s.SetLoggerV2(log, false, false, false)
	go s.Start()
	for !s.ReadyForConnections(20 * time.Millisecond) {
		select {
		case reason := <-log.fatal:
			return fmt.Errorf("the embedded NATS server does not start: %s", reason)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.watching.Go(func() { d.watch(watching) })
	return nil
}

// listenOn checks that the address is free before the server opens its folder, so that the
// error is ErrAddressInUse.
func listenOn(ctx context.Context, address string, opts *server.Options) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port: %w", address, err)
	}
	if opts.Port, err = strconv.Atoi(port); err != nil || opts.Port < 0 || opts.Port > 65535 {
		return fmt.Errorf("%q: the port must be 0 to 65535", address)
	}
	opts.Host = host
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %w", address, ErrAddressInUse)
	}
	if err != nil {
		return fmt.Errorf("listening on %s: %w", address, err)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return l.Close()
}

func lockStore(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", dir, ErrStoreUnwritable, err)
	}
	lock := flock.New(filepath.Join(dir, "roombus.lock"))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", dir, ErrStoreUnwritable, err)
	}
	if !locked {
		return nil, fmt.Errorf("%s: %w", dir, ErrStoreLocked)
	}
	return lock, nil
}

// Connect returns a connection inside this process.
func (e *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	if e.cfg.Operator != nil {
		opts = append(opts, nats.UserCredentials(e.cfg.Operator.Creds))
	}
	nc, err := nats.Connect("", append(opts, nats.InProcessServer(e.server))...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// URL returns the URL for other processes, or "" if the server does not listen.
func (e *Server) URL() string {
	if e.server.Addr() == nil {
		return ""
	}
	return e.server.ClientURL()
}

// Shutdown stops the server, waits until it has stopped, and unlocks the folder.
func (e *Server) Shutdown() {
	if e.stop != nil {
		e.stop()
		e.watching.Wait()
	}
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	_ = e.lock.Unlock() // if it fails, the lock ends with the process
}
