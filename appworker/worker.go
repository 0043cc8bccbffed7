package appworker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/identity"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// worker is one running replica of an app.
type worker struct {
	app   *App
	cfg   Config
	log   *slog.Logger
	is    identity.Process
	nc    *nats.Conn
	js    jetstream.JetStream
	rooms *roomclient.Client

	sources            []*source // of post-events
	inFlight           inFlight
	registeredManifest registeredManifest
	handlers           *handlers
	preSlots           chan struct{}
	pool               *pool // of post-event handlers
	stats              *postStats
	registerOutage     bus.Outage   // registering fails
	receiveOutage      bus.Outage   // receiving post-events fails, from any source
	failingSources     atomic.Int32 // number of sources from which receiving fails
	registered         atomic.Value // the registered version, from the room service's last reply

	draining context.Context // ends when the worker is asked to stop
	stopping context.Context // ends when handlers must end
}

// Run serves the app until the context ends. Then it waits for running handlers and returns nil.
// It registers the app when it is ready to serve it, and waits for the room service if that is
// down. It returns an error at once if the handlers do not fit the manifest or the room
// service refuses the app, and an error at the end if handlers did not finish within DrainTimeout.
func Run(ctx context.Context, cfg Config, m Manifest, handlers ...any) error {
	app, err := NewApp(m, handlers...)
	if err != nil {
		return err
	}
	w := &worker{app: app, cfg: cfg.withDefaults(), is: identity.This(), nc: cfg.Conn}
	w.log = w.cfg.Logger.With("app", app.Manifest.ID)
	if w.nc == nil {
		opts := append(bus.LogConnection(w.log, "this worker is not reached"),
			nats.Name(fmt.Sprintf("%s %s %d", app.Manifest.ID, w.is.Host, w.is.PID)), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
			nats.ReconnectBufSize(nats.DefaultReconnectBufSize)) // for acknowledgements of events
		if w.nc, err = bus.SettingsFromEnv().Connect(opts...); err != nil {
			return err
		}
		defer w.nc.Close()
	}
	return w.run(ctx)
}

func (w *worker) run(ctx context.Context) error {
	var err error
	if w.js, err = jetstream.New(w.nc); err != nil {
		return fmt.Errorf("using JetStream: %w", err)
	}
	w.rooms = roomclient.New(w.nc, roomclient.Config{})
	w.preSlots = make(chan struct{}, w.cfg.Concurrency)
	w.pool = newPool(w.cfg.Concurrency, func(j job) { j.source.run(j.event) })
	var abort context.CancelFunc
	w.draining = ctx
	w.stopping, abort = context.WithCancel(context.WithoutCancel(ctx))
	w.handlers = newHandlers(w.log, w.cfg.Concurrency)
	var watching sync.WaitGroup
	watching.Go(func() { w.handlers.watch(w.stopping) })
	defer watching.Wait()
	defer abort() // runs first

	w.stats = newPostStats(w.app.tells)
	w.sources = w.newSources()
	defer func() {
		abort()
		for _, s := range w.sources {
			s.background.Wait()
		}
	}()
	service, err := w.answerPreEvents()
	if err != nil {
		return err
	}
	changes := w.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer w.nc.RemoveStatusListener(changes)
	err = w.register(ctx)
	switch {
	case ctx.Err() != nil:
		err = nil // asked to stop while waiting for the room service
	case err == nil:
		w.log.Info("serving", "version", w.app.Manifest.Version, "implements", w.app.Manifest.Implements)
		w.cfg.OnReady()
		err = w.serve(ctx, changes) // until the context ends
	}
	return errors.Join(err, w.drain(service))
}

// serve serves until the context or the connection ends. After a reconnect it registers the app again,
// because the app may not be registered at the new server.
func (w *worker) serve(ctx context.Context, changes <-chan nats.Status) error {
	ended, stop := context.WithCancel(ctx)
	var receiving sync.WaitGroup
	defer func() {
		stop()
		receiving.Wait()
		for _, j := range w.pool.close() {
			j.source.giveBack(j.event)
		}
	}()
	for _, s := range w.sources {
		receiving.Go(func() { w.receive(ended, s) })
	}
	receiving.Go(func() { w.keepRegistration(ended) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case status, open := <-changes:
			if !open || status == nats.CLOSED {
				return fmt.Errorf("the connection to NATS has ended: %w", cmp.Or(w.nc.LastError(), nats.ErrConnectionClosed))
			}
			if err := w.register(ctx); err != nil && ctx.Err() == nil {
				w.log.Error("registration failed", "error", err)
			}
		}
	}
}

// register registers the app. It retries until the room service answers or the context ends.
func (w *worker) register(ctx context.Context) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = 100*time.Millisecond, 5*time.Second
	timeout := firstRegisterTimeout
	_, err := backoff.Retry(ctx, func() (room.Manifest, error) {
		attempt, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		timeout = registerTimeout
		m, err := w.rooms.RegisterApp(attempt, w.app.Manifest)
		switch {
		case errors.Is(err, &room.Error{Code: room.CodeInvalidRequest}):
			return m, backoff.Permanent(fmt.Errorf("the room service refuses the app: %w", err))
		case errors.Is(err, nats.ErrConnectionClosed):
			return m, backoff.Permanent(err)
		case err == nil && w.registered.Swap(m.Version) != m.Version && m.Version != w.app.Manifest.Version:
			w.log.Warn("another version of the app is registered; this worker continues with that manifest", "registered", m.Version)
		}
		return m, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		if w.nc.IsConnected() && w.registerOutage.Failed(time.Now()) {
			w.log.Warn("cannot register yet; retrying", "error", err)
		}
	}))
	if err == nil {
		if lasted, log := w.registerOutage.Ended(time.Now()); log {
			w.log.Info("registered", "outage", lasted.Round(time.Millisecond))
		}
	}
	return err
}

// Timeouts of an attempt to register. The first one is short, so that the log soon shows that the room
// service is down.
const (
	firstRegisterTimeout = time.Second
	registerTimeout      = 5 * time.Second
)
