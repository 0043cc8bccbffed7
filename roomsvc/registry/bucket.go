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
	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// reviseFunc makes a new registration from the current one, which is nil for a new app. It returns
// false if the current one stays. It may run more than once.
type reviseFunc func(*room.Registration) (next room.Registration, changed bool, err error)

// settleFunc brings the other resources of an app in line with a registration that has been stored.
type settleFunc func(stored room.Registration, revision uint64) error

// bucket reads and writes the registrations and documents. Its changes are in the entries at once,
// before the watch delivers them.
type bucket struct {
	kv       jetstream.KeyValue
	entries  *entries
	changing sync.Map // a mutex by key
}

// change stores a revised registration and calls settled. It returns the registration with its
// revision, also if the current one stays.
func (b *bucket) change(ctx context.Context, id string, revised reviseFunc, settled settleFunc) (room.Registration, uint64, error) {
	defer b.lock(id)()
	var next room.Registration
	stored, changed, err := b.store(ctx, id, func(was value) (data []byte, err error) {
		var changed bool
		if next, changed, err = revised(was.registration()); err != nil || !changed {
			return nil, err
		}
		if data, err = json.Marshal(next); err != nil {
			return nil, fmt.Errorf("encoding the registration: %w", err)
		}
		return data, nil
	})
	if err != nil {
		return next, 0, err
	}
	if changed {
		b.entries.update(id, stored)
	}
	return next, stored.revision, settled(next, stored.revision)
}

// put stores a document, unless revise returns an error or none.
func (b *bucket) put(ctx context.Context, name string, document *expression.Document, revise func(was value) ([]byte, error)) (value, bool, error) {
	key := subjects.ParamKey(name)
	defer b.lock(key)()
	stored, changed, err := b.store(ctx, key, revise)
	if err != nil || !changed {
		return stored, false, err
	}
	if stored.time, err = b.storedAt(ctx, key, stored.revision); err != nil {
		return stored, false, err
	}
	b.entries.set(key, entry{value: stored, document: document})
	return stored, true, nil
}

// store stores what revise makes of the current value. If that is nil, the current value stays.
// revise may run more than once.
func (b *bucket) store(ctx context.Context, key string, revise func(was value) ([]byte, error)) (stored value, changed bool, err error) {
	for {
		was, err := b.read(ctx, key)
		if err != nil {
			return was, false, err
		}
		data, err := revise(was)
		if err != nil || data == nil {
			return was, false, err
		}
		revision, err := b.write(ctx, key, data, was.revision)
		if isConflict(err) {
			continue // another service was faster
		}
		if err != nil {
			return was, false, fmt.Errorf("writing %s to the registry: %w", key, err)
		}
		return value{data: data, revision: revision}, true, nil
	}
}

// storedAt returns the time of a revision that has just been stored. A copy of the bucket that lags
// may answer.
func (b *bucket) storedAt(ctx context.Context, key string, revision uint64) (time.Time, error) {
	for {
		e, err := b.kv.GetRevision(ctx, key, revision)
		if err == nil {
			return e.Created(), nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) || !bus.Sleep(ctx, staleWait) {
			return time.Time{}, fmt.Errorf("reading %s of the registry: %w", key, err)
		}
	}
}

// remove calls rest, which removes the other resources of an app, and then deletes the key. It
// returns the value, and the revision of the deletion. If the bucket has no value, the error is
// absent.
func (b *bucket) remove(ctx context.Context, key string, absent error, rest func() error) (value, uint64, error) {
	defer b.lock(key)()
	for {
		was, err := b.read(ctx, key)
		if err != nil {
			return was, 0, err
		}
		if len(was.data) == 0 {
			return was, 0, absent
		}
		if err := rest(); err != nil {
			return was, 0, err
		}
		err = b.kv.Delete(ctx, key, jetstream.LastRevision(was.revision))
		if isConflict(err) {
			continue // it was stored again meanwhile
		}
		if err != nil {
			return was, 0, fmt.Errorf("deleting %s of the registry: %w", key, err)
		}
		revision, err := b.deletion(ctx, key)
		return was, revision, err
	}
}

// isConflict reports whether the bucket has, or is about to have, another revision than the
// expected one.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && bus.IsConflict(api)
}

// deletion returns the revision of the latest deletion of a key.
func (b *bucket) deletion(ctx context.Context, key string) (uint64, error) {
	history, err := b.kv.History(ctx, key, jetstream.MetaOnly())
	if err != nil {
		return 0, fmt.Errorf("reading the deletion: %w", err)
	}
	var revision uint64
	for _, e := range history { // oldest first; the last may be a new value
		if e.Operation() != jetstream.KeyValuePut {
			revision = e.Revision()
		}
	}
	b.entries.forget(key, revision)
	return revision, nil
}

// lock serializes this service's changes of one key, and of an app's consumers: the server fails if
// a consumer is changed while it is deleted.
func (b *bucket) lock(key string) (unlock func()) {
	mu, _ := b.changing.LoadOrStore(key, &sync.Mutex{})
	mu.(*sync.Mutex).Lock()
	return mu.(*sync.Mutex).Unlock
}

// read returns the value of a key. It is at least as new as the known entry, though a copy of the
// bucket that lags may answer.
func (b *bucket) read(ctx context.Context, key string) (value, error) {
	for {
		var v value
		e, err := b.kv.Get(ctx, key)
		switch {
		case err == nil:
			v = valueOf(e)
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return v, fmt.Errorf("reading %s of the registry: %w", key, err)
		}
		if !v.isOlderThan(b.entries.get(key)) {
			return v, nil
		}
		if !bus.Sleep(ctx, staleWait) {
			return v, fmt.Errorf("reading %s of the registry: %w", key, ctx.Err())
		}
	}
}

const staleWait = 10 * time.Millisecond

func (b *bucket) write(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return b.kv.Create(ctx, key, data) // works after a deletion too
	}
	return b.kv.Update(ctx, key, data, revision)
}

// writeBack stores a known entry if the bucket has none under its key, or an earlier one. It returns
// false if the value in the bucket stays.
func (b *bucket) writeBack(ctx context.Context, key string, known entry) (bool, error) {
	for {
		there, err := b.kv.Get(ctx, key)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			_, err = b.kv.Create(ctx, key, known.data)
		case err != nil:
			return false, err
		case bytes.Equal(there.Value(), known.data), !known.isLaterThan(there):
			return false, nil
		default:
			_, err = b.kv.Update(ctx, key, known.data, there.Revision())
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
