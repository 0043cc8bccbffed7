package appworker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/appworker/internal/consumer"
	"github.com/roombus/roombus/appworker/internal/running"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/identity"
	"github.com/roombus/roombus/roomclient"
)

// worker is one running replica of an app.
type worker struct {
	app   *App
	cfg   Config
	log   *slog.Logger
	is    identity.Process
	nc    *nats.Conn
	rooms *roomclient.Client

	registrar *registrar
	handlers  *running.Handlers
	consumer  *consumer.Consumer // of post-events

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
		settings := bus.Settings{JSDomain: w.cfg.JSDomain}.Or(bus.SettingsFromEnv())
		w.nc, err = settings.Connect(ctx, opts...)
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil // asked to stop while connecting
		}
		if err != nil {
			return err
		}
		defer w.nc.Close()
		if w.cfg.JSDomain, err = settings.Domain(); err != nil {
			return err
		}
	}
	return w.run(ctx)
}

func (w *worker) run(ctx context.Context) error {
	w.rooms = roomclient.New(w.nc, roomclient.Config{})
	w.registrar = w.newRegistrar()
	w.handlers = running.New(w.log, w.cfg.Concurrency)
	var err error
	if w.consumer, err = w.newConsumer(); err != nil {
		return err
	}
	var abort context.CancelFunc
	w.stopping, abort = context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { w.handlers.Watch(w.stopping) })
	defer func() {
		abort()
		w.consumer.Close()
		watching.Wait()
	}()
	service, err := w.answerPreEvents()
	if err != nil {
		return err
	}
	changes := w.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer w.nc.RemoveStatusListener(changes)
	err = w.registrar.register(ctx)
	switch {
	case ctx.Err() != nil:
		err = nil // asked to stop while waiting for the room service
	case err == nil:
		w.log.Info("serving", "version", w.app.Manifest.Version, "implements", w.app.Manifest.Implements)
		w.cfg.OnReady()
		err = w.serve(ctx, changes) // until the context ends
	}
	err = errors.Join(err, w.drain(service))
	if err == nil {
		w.log.Info("stopped")
	}
	return err
}

// serve serves until the context or the connection ends. After a reconnect it registers the app again,
// because the app may not be registered at the new server.
func (w *worker) serve(ctx context.Context, changes <-chan nats.Status) error {
	ended, stop := context.WithCancel(ctx)
	var receiving sync.WaitGroup
	defer func() {
		stop()
		receiving.Wait()
	}()
	receiving.Go(func() { w.consumer.Run(ended, w.stopping) })
	receiving.Go(func() { w.registrar.keep(ended) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case status, open := <-changes:
			if !open || status == nats.CLOSED {
				return fmt.Errorf("the connection to NATS has ended: %w", cmp.Or(w.nc.LastError(), nats.ErrConnectionClosed))
			}
			if err := w.registrar.register(ctx); err != nil && ctx.Err() == nil {
				w.log.Error("registration failed", "error", err)
			}
		}
	}
}
