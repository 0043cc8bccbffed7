package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

// reviseFunc makes a new registration from the current one, which is nil for a new app. It returns
// false if the current one stays. It may run more than once.
type reviseFunc func(*room.Registration) (next room.Registration, changed bool, err error)

// settleFunc brings the other resources of an app in line with a registration that has been stored.
type settleFunc func(stored room.Registration, revision uint64) error

// change stores a revised registration and calls settled. It returns the registration with its
// revision, also if the current one stays.
func (a *apps) change(ctx context.Context, id string, revised reviseFunc, settled settleFunc) (room.Registration, uint64, error) {
	defer a.lock(id)()
	stored, revision, err := a.store(ctx, id, revised)
	if err == nil {
		err = settled(stored, revision)
	}
	return stored, revision, err
}

func (a *apps) store(ctx context.Context, id string, revised reviseFunc) (room.Registration, uint64, error) {
	for {
		was, err := a.read(ctx, id)
		if err != nil {
			return room.Registration{}, 0, err
		}
		next, changed, err := revised(was.stored())
		if err != nil || !changed {
			return next, was.revision, err
		}
		data, err := json.Marshal(next)
		if err != nil {
			return next, 0, fmt.Errorf("encoding the registration: %w", err)
		}
		revision, err := a.write(ctx, id, data, was.revision)
		if isConflict(err) {
			continue // another service was faster
		}
		if err != nil {
			return next, 0, fmt.Errorf("storing the registration: %w", err)
		}
		a.update(id, data, revision)
		return next, revision, nil
	}
}

// remove calls rest, which removes the other resources of an app, and then deletes the
// registration. It returns the registration, nil if it was unusable, and the revision of the
// deletion. The error is of code app_not_found if the bucket has no registration of the app.
func (a *apps) remove(ctx context.Context, id string, rest func() error) (*room.Registration, uint64, error) {
	defer a.lock(id)()
	for {
		was, err := a.read(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		if was.data == "" {
			return nil, 0, noApp(id)
		}
		if err := rest(); err != nil {
			return nil, 0, err
		}
		err = a.kv.Delete(ctx, id, jetstream.LastRevision(was.revision))
		if isConflict(err) {
			continue // the app was registered again meanwhile
		}
		if err != nil {
			return nil, 0, fmt.Errorf("deleting the registration: %w", err)
		}
		revision, err := a.deletion(ctx, id)
		return was.stored(), revision, err
	}
}

// isConflict reports whether the bucket has, or is about to have, another revision than the
// expected one.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && bus.IsConflict(api)
}

// deletion returns the revision of an app's latest deletion.
func (a *apps) deletion(ctx context.Context, id string) (uint64, error) {
	history, err := a.kv.History(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("reading the deletion: %w", err)
	}
	var revision uint64
	for _, e := range history { // oldest first; the last may be a new registration
		if e.Operation() != jetstream.KeyValuePut {
			revision = e.Revision()
		}
	}
	a.forget(id, revision)
	return revision, nil
}

// lock serializes this service's changes of one app's registration and consumers: the server fails
// if a consumer is changed while it is deleted.
func (a *apps) lock(id string) (unlock func()) {
	mu, _ := a.changing.LoadOrStore(id, &sync.Mutex{})
	mu.(*sync.Mutex).Lock()
	return mu.(*sync.Mutex).Unlock
}

// record is the entry of an app in the bucket.
type record struct {
	data     string
	revision uint64
}

// stored decodes the registration. It returns nil if the entry is empty or unusable.
func (r record) stored() *room.Registration {
	reg, err := decodeRegistration([]byte(r.data))
	if r.data == "" || err != nil {
		return nil
	}
	return &reg
}

// read returns an entry of the bucket that is at least as new as the known one: a copy of the
// bucket that lags may answer.
func (a *apps) read(ctx context.Context, id string) (record, error) {
	for {
		var r record
		e, err := a.kv.Get(ctx, id)
		switch {
		case err == nil:
			r = record{data: string(e.Value()), revision: e.Revision()}
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return r, fmt.Errorf("reading the registration: %w", err)
		}
		if !a.isStale(id, r) {
			return r, nil
		}
		select {
		case <-time.After(staleWait):
		case <-ctx.Done():
			return r, fmt.Errorf("reading the registration: %w", ctx.Err())
		}
	}
}

const staleWait = 10 * time.Millisecond

func (a *apps) isStale(id string, r record) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.entries[id]
	if e.gone && r.revision == 0 {
		return false
	}
	return r.revision < e.revision
}

func (a *apps) write(ctx context.Context, id string, data []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return a.kv.Create(ctx, id, data) // works after a deletion too
	}
	return a.kv.Update(ctx, id, data, revision)
}
