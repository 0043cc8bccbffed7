package appworker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
)

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

// keepRegistration checks periodically whether the app is still registered, until the context ends. If the registry
// was lost, it registers the app again. It does not register an app that an operator has removed.
func (w *worker) keepRegistration(ctx context.Context) {
	for removed := false; ; {
		select {
		case <-time.After(w.cfg.RegistrationCheck*2/3 + rand.N(w.cfg.RegistrationCheck*2/3)): // jitter, so that not all workers check at once
		case <-ctx.Done():
			return
		}
		switch w.registration(ctx) {
		case registrationPresent:
			removed = false
		case registrationRemoved:
			if !removed && len(w.app.tells) == 0 { // otherwise Restore logs it when the consumer is missing
				w.logRemoved()
			}
			removed = true
		case registrationLost:
			w.log.Warn("registration lost; registering again")
			if err := w.register(ctx); err != nil {
				if ctx.Err() == nil {
					w.log.Error("registration failed", "error", err)
				}
				continue
			}
			w.log.Info("registered again")
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

func (w *worker) registration(ctx context.Context) registrationState {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	_, err := w.rooms.App(ctx, w.app.Manifest.ID)
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

func (w *worker) logRemoved() {
	w.log.Warn("app removed; restart a worker to register it again")
}
