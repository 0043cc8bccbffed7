package appworker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// registrar registers the app, and keeps it registered.
type registrar struct {
	rooms       *roomclient.Client
	nc          *nats.Conn
	log         *slog.Logger
	manifest    Manifest
	check       time.Duration // average interval between checks
	logsRemoval bool          // false: Restore logs a removal when the consumer is missing
	outage      bus.Outage    // registering fails
	registered  atomic.Value  // the registered version, from the room service's last reply
}

func (w *worker) newRegistrar() *registrar {
	return &registrar{
		rooms: w.rooms, nc: w.nc, log: w.log, manifest: w.app.Manifest,
		check: w.cfg.RegistrationCheck, logsRemoval: len(w.app.tells) == 0,
	}
}

// register registers the app. It retries until the room service answers or the context ends.
func (r *registrar) register(ctx context.Context) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = 100*time.Millisecond, 5*time.Second
	timeout := firstRegisterTimeout
	_, err := backoff.Retry(ctx, func() (room.Manifest, error) {
		attempt, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		timeout = registerTimeout
		m, err := r.rooms.RegisterApp(attempt, r.manifest)
		switch {
		case errors.Is(err, &room.Error{Code: room.CodeInvalidRequest}):
			return m, backoff.Permanent(fmt.Errorf("the room service refuses the app: %w", err))
		case errors.Is(err, nats.ErrConnectionClosed):
			return m, backoff.Permanent(err)
		case err == nil && r.registered.Swap(m.Version) != m.Version && m.Version != r.manifest.Version:
			r.log.Warn("another version of the app is registered; this worker continues with that manifest", "registered", m.Version)
		}
		return m, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		if r.nc.IsConnected() && r.outage.Failed(time.Now()) {
			r.log.Warn("cannot register yet; retrying", "error", err)
		}
	}))
	if err == nil {
		if lasted, log := r.outage.Ended(time.Now()); log {
			r.log.Info("registered", "outage", lasted.Round(time.Millisecond))
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

// keep checks periodically whether the app is still registered, until the context ends. If the registry
// was lost, it registers the app again. It does not register an app that an operator has removed.
func (r *registrar) keep(ctx context.Context) {
	for removed := false; ; {
		select {
		case <-time.After(r.check*2/3 + rand.N(r.check*2/3)): // jitter, so that not all workers check at once
		case <-ctx.Done():
			return
		}
		switch r.state(ctx) {
		case registrationPresent:
			removed = false
		case registrationRemoved:
			if !removed && r.logsRemoval {
				r.logRemoved()
			}
			removed = true
		case registrationLost:
			r.log.Warn("registration lost; registering again")
			if err := r.register(ctx); err != nil {
				if ctx.Err() == nil {
					r.log.Error("registration failed", "error", err)
				}
				continue
			}
			r.log.Info("registered again")
		}
	}
}

// registrationState is the state of the app's registration, according to the room service.
type registrationState int

const (
	registrationUnknown registrationState = iota // the room service does not answer or cannot tell now
	registrationPresent
	registrationRemoved // by an operator
	registrationLost
)

func (r *registrar) state(ctx context.Context) registrationState {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	_, err := r.rooms.App(ctx, r.manifest.ID)
	var e *room.Error
	switch {
	case err == nil:
		return registrationPresent
	case !errors.As(err, &e) || e.Code != room.CodeAppNotFound:
		return registrationUnknown
	case e.NeverRegistered:
		return registrationLost
	}
	return registrationRemoved
}

func (r *registrar) logRemoved() {
	r.log.Warn("app removed; restart a worker to register it again")
}
