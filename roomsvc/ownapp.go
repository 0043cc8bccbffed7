package roomsvc

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// register serves registrations, on a subject that names the app or on the one for all apps.
func (es *endpoints) register(ctx context.Context, msg *nats.Msg) (any, error) {
	return query(func(ctx context.Context, m room.Manifest) (room.Manifest, error) {
		account, err := es.registersFrom(msg, m)
		if err != nil {
			return room.Manifest{}, err
		}
		return es.registry.Register(ctx, m, account)
	})(ctx, msg)
}

// registersFrom returns the account that the workers of an app reply from, according to its registration;
// empty if the registration does not tell. Only the operator of NATS can let an account use the subject
// that names an app, so the account that uses it is the app's. Operators use the subject for all apps, and
// may register an app that has an account of its own. The account of one app may not.
func (es *endpoints) registersFrom(msg *nats.Msg, m room.Manifest) (string, error) {
	if err := isOf(m.ID, msg); err != nil {
		return "", err
	}
	account := bus.Account(msg.Header)
	_, own := subjects.AppNamed(msg.Subject)
	switch {
	case account == "":
		return "", nil
	case account == bus.UnknownAccount:
		return "", room.Errorf(room.CodeInvalidRequest, "the account of the request cannot be told: send no header Nats-Request-Info")
	case own:
		return account, nil
	case es.registry.IsAccountOfApp(account):
		return "", room.Errorf(room.CodeInvalidRequest, "the account of an app registers its app on %s: import that subject", subjects.OfApp(subjects.Register, m.ID))
	case m.IsPolicy():
		return "", nil
	}
	return bus.AnyAccount, nil
}

// info serves the state of an app on a subject that names it.
func (es *endpoints) info(ctx context.Context, msg *nats.Msg) (any, error) {
	return query(func(ctx context.Context, r room.AppRequest) (room.App, error) {
		if err := isOf(r.ID, msg); err != nil {
			return room.App{}, err
		}
		return es.apps.Info(ctx, r)
	})(ctx, msg)
}

// isOf returns an error of code invalid_request if the subject of a request names another app.
func isOf(id string, msg *nats.Msg) error {
	if named, ok := subjects.AppNamed(msg.Subject); ok && named != id {
		return room.Errorf(room.CodeInvalidRequest, "the request on %s is about app %q", msg.Subject, id)
	}
	return nil
}
