package registry

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// entries is what is known of the bucket, and how far the bucket has been read.
type entries struct {
	log *slog.Logger

	mu       sync.Mutex
	created  time.Time // when the bucket was that the entries are from
	byKey    map[string]entry
	revision uint64        // of the bucket, read so far
	complete bool          // the watch has delivered all initial entries
	unknown  error         // why the entries may be stale
	upTo     uint64        // the revision of the bucket's leader when the watch began
	moved    chan struct{} // closed and replaced when revision, complete or upTo changes
	sorted   atomic.Pointer[[]room.Manifest]
	// changed is called with the registrations and documents after each change, while mu is locked.
	changed changedFunc
}

type changedFunc = func([]*room.Registration, expression.Params)

func newEntries(log *slog.Logger, changed changedFunc) *entries {
	e := &entries{log: log, byKey: make(map[string]entry), moved: make(chan struct{}), changed: changed}
	e.publish()
	return e
}

// list returns every app, sorted.
func (e *entries) list() []room.Manifest { return *e.sorted.Load() }

// get returns the entry of a key. It is empty if the bucket never had the key.
func (e *entries) get(key string) entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byKey[key]
}

// syncedRevision is the revision of the bucket up to which this service is in sync, 0 if it may
// have missed a change.
func (e *entries) syncedRevision() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.isSynced() {
		return 0
	}
	return e.revision
}

// isSynced reports whether the entries are as new as the bucket was when the watch began.
func (e *entries) isSynced() bool { return e.complete && e.revision >= e.upTo }

// awaitSync returns when the entries are in sync with the bucket. If the context ends first it
// returns an error of code unavailable.
func (e *entries) awaitSync(ctx context.Context) error {
	if e.await(ctx, e.isSynced) == nil {
		return nil
	}
	err := room.Errorf(room.CodeUnavailable, "the registry of apps is not in sync at the moment")
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unknown != nil {
		err.Message += ": " + e.unknown.Error()
	}
	return err
}

// awaitRevision returns when the entries are in sync up to the revision, or an error when the
// context ends.
func (e *entries) awaitRevision(ctx context.Context, revision uint64) error {
	return e.await(ctx, func() bool { return e.isSynced() && e.revision >= revision })
}

// await returns when the condition holds. It checks the condition after each change of revision,
// complete or upTo.
func (e *entries) await(ctx context.Context, holds func() bool) error {
	for {
		e.mu.Lock()
		held, moved := holds(), e.moved
		e.mu.Unlock()
		if held {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// markSynced records that the watch has delivered its initial entries: everything up to the
// revision.
func (e *entries) markSynced(upTo uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.complete, e.upTo, e.unknown = true, upTo, nil
	e.notify()
}

// markStale records that changes of the bucket may be missed, and why.
func (e *entries) markStale(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.complete, e.upTo, e.unknown = false, 0, why
}

// advance records that the watch has delivered a revision, whose entry has been applied.
func (e *entries) advance(revision uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.revision = max(e.revision, revision)
	e.notify()
}

// notify wakes the goroutines in await. Once in sync it drops entries of an earlier bucket. Until
// then a command in progress still asks their apps.
func (e *entries) notify() {
	if e.isSynced() {
		known := len(e.byKey)
		maps.DeleteFunc(e.byKey, func(_ string, one entry) bool { return one.revision == 0 })
		if len(e.byKey) < known {
			e.publish()
		}
	}
	close(e.moved)
	e.moved = make(chan struct{})
}

// resetIfRecreated records the bucket that is read from now on. If it was recreated or has lost its
// end, its revisions begin again. The known entries stay until the bucket has been read.
func (e *entries) resetIfRecreated(bucket *jetstream.StreamInfo) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isOther(bucket) {
		for key, one := range e.byKey {
			one.revision = 0
			e.byKey[key] = one
		}
		e.revision = 0
	}
	e.created = bucket.Created
}

// differs reports whether the bucket may lack entries that this service has read: the bucket was
// recreated or ends before the known revision. A nil bucket does not exist.
func (e *entries) differs(bucket *jetstream.StreamInfo) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.isOther(bucket)
}

func (e *entries) isOther(bucket *jetstream.StreamInfo) bool {
	return bucket == nil || !e.created.IsZero() && (!bucket.Created.Equal(e.created) || bucket.State.LastSeq < e.revision)
}

// update applies a stored value. It decodes only a value that is new, and without a lock, because a
// large document takes some milliseconds.
func (e *entries) update(key string, v value) {
	if e.get(key).revision >= v.revision {
		return
	}
	one, err := newEntry(key, v)
	if err != nil {
		if name, ok := subjects.ParamOf(key); ok {
			e.log.Error("document unusable; the previous one stays", "param", name, "error", err)
		} else {
			e.log.Error("registration unusable; the app keeps its previous one", "app", key, "error", err)
		}
		return
	}
	e.set(key, one)
}

// forget applies a deletion. It keeps the revision, so that an older value does not come back.
func (e *entries) forget(key string, revision uint64) {
	e.set(key, entry{value: value{revision: revision}, gone: true})
}

// set applies an entry. Only the watch knows that the bucket has been read up to its revision: if this
// service has made the change, other services may have changed other keys just before, which the watch
// has yet to deliver.
func (e *entries) set(key string, one entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byKey[key].revision < one.revision {
		e.byKey[key] = one
		e.publish()
	}
	if one.revision == e.revision+1 {
		e.revision = one.revision
		e.notify()
	}
}

// publish makes the registrations and documents known after a change.
func (e *entries) publish() {
	var registered []*room.Registration
	manifests, params := []room.Manifest{}, make(expression.Params)
	for key, one := range e.byKey {
		switch name, _ := subjects.ParamOf(key); {
		case one.registration != nil:
			registered = append(registered, one.registration)
			manifests = append(manifests, one.registration.Effective())
		case one.document != nil:
			params[name] = one.document
		}
	}
	slices.SortFunc(manifests, room.Manifest.Compare)
	e.sorted.Store(&manifests)
	e.changed(registered, params)
}

// known returns the known registrations and documents by key, and the revision of the bucket up to
// which they are known.
func (e *entries) known() (known map[string]entry, revision uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known = maps.Clone(e.byKey)
	maps.DeleteFunc(known, func(_ string, one entry) bool { return one.gone })
	return known, e.revision
}
