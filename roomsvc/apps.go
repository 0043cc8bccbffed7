package roomsvc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
)

// apps is the registry: the registrations in the bucket. It watches the bucket, so that every
// service knows the registrations without asking.
type apps struct {
	kv  jetstream.KeyValue
	cfg Config

	changing sync.Map // a mutex by app id

	mu       sync.Mutex
	created  time.Time // when the bucket was that the entries are from
	entries  map[string]entry
	revision uint64        // of the bucket, read so far
	complete bool          // the watch has delivered all initial entries
	unknown  error         // why the entries may be stale
	upTo     uint64        // the revision of the bucket's leader when the watch began
	moved    chan struct{} // closed and replaced when revision, complete or upTo changes
	sorted   atomic.Pointer[[]room.Manifest]
	// changed is called with the registrations after each change, while mu is locked.
	changed func([]*room.Registration)
}

// entry is one app in the bucket.
type entry struct {
	registration *room.Registration // nil if it is gone
	data         []byte             // the registration as it is stored
	revision     uint64
	gone         bool
}

func newApps(kv jetstream.KeyValue, cfg Config, changed func([]*room.Registration)) *apps {
	a := &apps{kv: kv, cfg: cfg, entries: make(map[string]entry), moved: make(chan struct{}), changed: changed}
	a.publish()
	return a
}

// list returns every app, sorted.
func (a *apps) list() []room.Manifest { return *a.sorted.Load() }

// get returns a registered app.
func (a *apps) get(id string) (room.Registration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.entries[id]
	if e.registration == nil {
		return room.Registration{}, false
	}
	return *e.registration, true
}

// wasRemoved reports whether the bucket has a deletion of the app.
func (a *apps) wasRemoved(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entries[id].gone
}

// syncedRevision is the revision of the bucket up to which this service is in sync, 0 if it may
// have missed a change.
func (a *apps) syncedRevision() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.isSynced() {
		return 0
	}
	return a.revision
}

// isSynced reports whether the entries are as new as the bucket was when the watch began.
func (a *apps) isSynced() bool { return a.complete && a.revision >= a.upTo }

// awaitSync returns when the entries are in sync with the bucket. If the context ends first it
// returns an error of code unavailable.
func (a *apps) awaitSync(ctx context.Context) error {
	if a.await(ctx, a.isSynced) == nil {
		return nil
	}
	err := room.Errorf(room.CodeUnavailable, "the registry of apps is not in sync at the moment")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unknown != nil {
		err.Message += ": " + a.unknown.Error()
	}
	return err
}

// awaitRevision returns when the entries are in sync up to the revision, or an error when the
// context ends.
func (a *apps) awaitRevision(ctx context.Context, revision uint64) error {
	return a.await(ctx, func() bool { return a.isSynced() && a.revision >= revision })
}

// await returns when the condition holds. It checks the condition after each change of revision,
// complete or upTo.
func (a *apps) await(ctx context.Context, holds func() bool) error {
	for {
		a.mu.Lock()
		held, moved := holds(), a.moved
		a.mu.Unlock()
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
func (a *apps) markSynced(upTo uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.complete, a.upTo, a.unknown = true, upTo, nil
	a.notify()
}

// markStale records that changes of the bucket may be missed, and why.
func (a *apps) markStale(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.complete, a.upTo, a.unknown = false, 0, why
}

// advance records that the watch has delivered a revision.
func (a *apps) advance(revision uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revision = max(a.revision, revision)
	a.notify()
}

// notify wakes the goroutines in await. Once in sync it drops apps of an earlier bucket. Until then
// a command in progress still asks them.
func (a *apps) notify() {
	if a.isSynced() {
		known := len(a.entries)
		maps.DeleteFunc(a.entries, func(_ string, e entry) bool { return e.revision == 0 })
		if len(a.entries) < known {
			a.publish()
		}
	}
	close(a.moved)
	a.moved = make(chan struct{})
}

// resetIfRecreated records the bucket that is read from now on. If it was recreated or has lost its
// end, its revisions begin again. The known apps stay until the bucket has been read.
func (a *apps) resetIfRecreated(bucket *jetstream.StreamInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isOther(bucket) {
		for id, e := range a.entries {
			e.revision = 0
			a.entries[id] = e
		}
		a.revision = 0
	}
	a.created = bucket.Created
}

// differs reports whether the bucket may lack entries that this service has read: the bucket was
// recreated or ends before the known revision. A nil bucket does not exist.
func (a *apps) differs(bucket *jetstream.StreamInfo) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.isOther(bucket)
}

func (a *apps) isOther(bucket *jetstream.StreamInfo) bool {
	return bucket == nil || !a.created.IsZero() && (!bucket.Created.Equal(a.created) || bucket.State.LastSeq < a.revision)
}

// update applies a stored registration.
func (a *apps) update(id string, data []byte, revision uint64) {
	e, err := newEntry(id, data, revision)
	if err != nil {
		a.cfg.Logger.Error("registration unusable; the app keeps its previous one", "app", id, "error", err)
		a.advance(revision)
		return
	}
	a.set(id, e)
}

// forget applies a deletion. It keeps the revision, so that an older registration does not come
// back.
func (a *apps) forget(id string, revision uint64) {
	a.set(id, entry{revision: revision, gone: true})
}

func decodeRegistration(data []byte) (room.Registration, error) {
	var r room.Registration
	if err := room.DecodeLenient(data, &r); err != nil {
		return r, err
	}
	return r, r.Validate()
}

func newEntry(id string, data []byte, revision uint64) (entry, error) {
	r, err := decodeRegistration(data)
	if err != nil {
		return entry{}, err
	}
	if r.ID != id {
		return entry{}, fmt.Errorf("it is the registration of app %q", r.ID)
	}
	return entry{registration: &r, data: data, revision: revision}, nil
}

func (a *apps) set(id string, e entry) {
	defer a.advance(e.revision) // only after set: a goroutine in await must find the app
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries[id].revision < e.revision {
		a.entries[id] = e
		a.publish()
	}
}

// publish makes the registrations known after a change.
func (a *apps) publish() {
	var registered []*room.Registration
	manifests := []room.Manifest{}
	for e := range maps.Values(a.entries) {
		if e.registration != nil {
			registered = append(registered, e.registration)
			manifests = append(manifests, e.registration.Effective())
		}
	}
	slices.SortFunc(manifests, room.Manifest.Compare)
	a.sorted.Store(&manifests)
	a.changed(registered)
}
