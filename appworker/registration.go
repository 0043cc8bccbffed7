package appworker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/roombus/roombus/room"
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
			if !removed && len(w.sources) == 0 { // otherwise receive logs it when the consumer is missing
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
