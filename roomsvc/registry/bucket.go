package registry

import (
	"bytes"
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

// bucket reads and writes the registrations. Its changes are in the entries at once, before the
// watch delivers them.
type bucket struct {
	kv       jetstream.KeyValue
	entries  *entries
	changing sync.Map // a mutex by app id
}

// change stores a revised registration and calls settled. It returns the registration with its
// revision, also if the current one stays.
func (b *bucket) change(ctx context.Context, id string, revised reviseFunc, settled settleFunc) (room.Registration, uint64, error) {
	defer b.lock(id)()
	stored, revision, err := b.store(ctx, id, revised)
	if err == nil {
		err = settled(stored, revision)
	}
	return stored, revision, err
}

func (b *bucket) store(ctx context.Context, id string, revised reviseFunc) (room.Registration, uint64, error) {
	for {
		was, err := b.read(ctx, id)
		if err != nil {
			return room.Registration{}, 0, err
		}
		next, changed, err := revised(was.registration())
		if err != nil || !changed {
			return next, was.revision, err
		}
		data, err := json.Marshal(next)
		if err != nil {
			return next, 0, fmt.Errorf("encoding the registration: %w", err)
		}
		revision, err := b.write(ctx, id, data, was.revision)
		if isConflict(err) {
			continue // another service was faster
		}
		if err != nil {
			return next, 0, fmt.Errorf("storing the registration: %w", err)
		}
		b.entries.update(id, data, revision)
		return next, revision, nil
	}
}

// remove calls rest, which removes the other resources of an app, and then deletes the
// registration. It returns the registration, nil if it was unusable, and the revision of the
// deletion. The error is of code app_not_found if the bucket has no registration of the app.
func (b *bucket) remove(ctx context.Context, id string, rest func() error) (*room.Registration, uint64, error) {
	defer b.lock(id)()
	for {
		was, err := b.read(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		if was.data == "" {
			return nil, 0, noApp(id)
		}
		if err := rest(); err != nil {
			return nil, 0, err
		}
		err = b.kv.Delete(ctx, id, jetstream.LastRevision(was.revision))
		if isConflict(err) {
			continue // the app was registered again meanwhile
		}
		if err != nil {
			return nil, 0, fmt.Errorf("deleting the registration: %w", err)
		}
		revision, err := b.deletion(ctx, id)
		return was.registration(), revision, err
	}
}

// isConflict reports whether the bucket has, or is about to have, another revision than the
// expected one.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && bus.IsConflict(api)
}

// deletion returns the revision of an app's latest deletion.
func (b *bucket) deletion(ctx context.Context, id string) (uint64, error) {
	history, err := b.kv.History(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("reading the deletion: %w", err)
	}
	var revision uint64
	for _, e := range history { // oldest first; the last may be a new registration
		if e.Operation() != jetstream.KeyValuePut {
			revision = e.Revision()
		}
	}
	b.entries.forget(id, revision)
	return revision, nil
}

// lock serializes this service's changes of one app's registration and consumers: the server fails
// if a consumer is changed while it is deleted.
func (b *bucket) lock(id string) (unlock func()) {
	mu, _ := b.changing.LoadOrStore(id, &sync.Mutex{})
	mu.(*sync.Mutex).Lock()
	return mu.(*sync.Mutex).Unlock
}

// read returns the value of an app. It is at least as new as the known entry, though a copy of the
// bucket that lags may answer.
func (b *bucket) read(ctx context.Context, id string) (value, error) {
	for {
		var v value
		e, err := b.kv.Get(ctx, id)
		switch {
		case err == nil:
			v = value{data: string(e.Value()), revision: e.Revision()}
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return v, fmt.Errorf("reading the registration: %w", err)
		}
		if !v.isOlderThan(b.entries.get(id)) {
			return v, nil
		}
		if !bus.Sleep(ctx, staleWait) {
			return v, fmt.Errorf("reading the registration: %w", ctx.Err())
		}
	}
}

const staleWait = 10 * time.Millisecond

func (b *bucket) write(ctx context.Context, id string, data []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return b.kv.Create(ctx, id, data) // works after a deletion too
	}
	return b.kv.Update(ctx, id, data, revision)
}

// writeBack stores a known registration if the bucket has none of the app, or an older one: stored
// before, and of no later version. It returns false if the entry in the bucket stays.
func (b *bucket) writeBack(ctx context.Context, id string, known entry) (bool, error) {
	for {
		there, err := b.kv.Get(ctx, id)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			_, err = b.kv.Create(ctx, id, known.data)
		case err != nil:
			return false, err
		case bytes.Equal(there.Value(), known.data), !known.isLaterThan(there):
			return false, nil
		default:
			_, err = b.kv.Update(ctx, id, known.data, there.Revision())
		}
		if isConflict(err) {
			if !bus.Sleep(ctx, staleWait) {
				return false, ctx.Err()
			}
			continue // another service was faster
		}
		return err == nil, err
	}
}
