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

	sources      []*source // of post-events
	inHand       inHand
	counting     counting
	running      *running
	preSlots     chan struct{}
	pool         *pool // of post-event handlers
	figures      *postFigures
	unregistered bus.Outage   // of registering
	unreceived   bus.Outage   // of receiving post-events, from any source
	cutOff       atomic.Int32 // sources from which none are received
	registered   atomic.Value // the version that the room service last said is registered

	leaving  context.Context // ends when the worker is asked to stop
	stopping context.Context // ends when handlers must
}

// Run serves the app until the context ends, then finishes what was begun and returns nil.
// It registers the app when it is ready to serve it, and waits for a room service that is
// away. It returns an error at once if the handlers do not fit the manifest or the room
// service refuses the app, and one at the end if handlers did not finish in time.
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
	w.leaving = ctx
	w.stopping, abort = context.WithCancel(context.WithoutCancel(ctx))
	w.running = newRunning(w.log, w.cfg.Concurrency)
	var watching sync.WaitGroup
	watching.Go(func() { w.running.watch(w.stopping) })
	defer watching.Wait()
	defer abort() // runs first

	w.figures = newPostFigures(w.app.tells)
	w.sources = w.newSources()
	defer func() {
		abort()
		for _, s := range w.sources {
			s.guarding.Wait()
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
		err = w.stay(ctx, changes) // until the context ends
	}
	return errors.Join(err, w.drain(service))
}

// stay serves until the context or the connection ends. After a lost connection the app is
// registered anew: the server that is there now may not know it.
func (w *worker) stay(ctx context.Context, changes <-chan nats.Status) error {
	ended, stop := context.WithCancel(ctx)
	var receiving sync.WaitGroup
	defer func() {
		stop()
		receiving.Wait()
		for _, b := range w.pool.close() {
			b.source.giveBack(b.event)
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
				w.log.Error("cannot register again", "error", err)
			}
		}
	}
}

// register makes the app known, however long the room service is away.
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
			w.log.Warn("another version of the app is registered; this worker serves on, under its manifest", "registered", m.Version)
		}
		return m, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		if w.nc.IsConnected() && w.unregistered.Failed(time.Now()) {
			w.log.Warn("cannot register yet; trying on", "error", err)
		}
	}))
	if err == nil {
		if lasted, log := w.unregistered.Ended(time.Now()); log {
			w.log.Info("registered", "outage", lasted.Round(time.Millisecond))
		}
	}
	return err
}

// How long an attempt to register may take. The first one ends soon, so that the log tells early that
// there is no room service.
const (
	firstRegisterTimeout = time.Second
	registerTimeout      = 5 * time.Second
)
