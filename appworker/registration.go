package appworker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/roombus/roombus/room"
)

// keepRegistration looks now and then whether the app is still registered, until the context ends. A registry that
// has been lost does not have it: then it is registered again. An app that an operator has removed is not.
func (w *worker) keepRegistration(ctx context.Context) {
	for removed := false; ; {
		select {
		case <-time.After(w.cfg.RegistrationCheck*2/3 + rand.N(w.cfg.RegistrationCheck*2/3)): // not all workers at once
		case <-ctx.Done():
			return
		}
		switch w.registration(ctx) {
		case registrationThere:
			removed = false
		case registrationRemoved:
			if !removed && len(w.sources) == 0 { // otherwise the loss of its consumer is logged
				w.logRemoved()
			}
			removed = true
		case registrationGone:
			w.log.Warn("the registration is gone; registering again")
			if err := w.register(ctx); err != nil {
				if ctx.Err() == nil {
					w.log.Error("cannot register again", "error", err)
				}
				continue
			}
			w.log.Info("registered again")
		}
	}
}

// registrationState is what the room service says about the app's registration.
type registrationState int

const (
	registrationUnknown registrationState = iota // it does not answer, or does not know at the moment
	registrationThere
	registrationRemoved // by an operator
	registrationGone    // lost
)

func (w *worker) registration(ctx context.Context) registrationState {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	_, err := w.rooms.App(ctx, w.app.Manifest.ID)
	var e *room.Error
	switch {
	case err == nil:
		return registrationThere
	case !errors.As(err, &e) || e.Code != room.CodeAppNotFound:
		return registrationUnknown
	case e.NeverRegistered:
		return registrationGone
	}
	return registrationRemoved
}

func (w *worker) logRemoved() {
	w.log.Warn("the app has been removed; a worker that is started registers it again")
}
