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

	"github.com/roombus/roombus/room"
)

// entries is what is known of the bucket, and how far the bucket has been read.
type entries struct {
	log *slog.Logger

	mu       sync.Mutex
	created  time.Time // when the bucket was that the entries are from
	byID     map[string]entry
	revision uint64        // of the bucket, read so far
	complete bool          // the watch has delivered all initial entries
	unknown  error         // why the entries may be stale
	upTo     uint64        // the revision of the bucket's leader when the watch began
	moved    chan struct{} // closed and replaced when revision, complete or upTo changes
	sorted   atomic.Pointer[[]room.Manifest]
	// changed is called with the registrations after each change, while mu is locked.
	changed func([]*room.Registration)
}

func newEntries(log *slog.Logger, changed func([]*room.Registration)) *entries {
	e := &entries{log: log, byID: make(map[string]entry), moved: make(chan struct{}), changed: changed}
	e.publish()
	return e
}

// list returns every app, sorted.
func (e *entries) list() []room.Manifest { return *e.sorted.Load() }

// get returns the entry of an app. It is empty if the bucket never had the app.
func (e *entries) get(id string) entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byID[id]
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

// advance records that the watch has delivered a revision.
func (e *entries) advance(revision uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.revision = max(e.revision, revision)
	e.notify()
}

// notify wakes the goroutines in await. Once in sync it drops apps of an earlier bucket. Until then
// a command in progress still asks them.
func (e *entries) notify() {
	if e.isSynced() {
		known := len(e.byID)
		maps.DeleteFunc(e.byID, func(_ string, one entry) bool { return one.revision == 0 })
		if len(e.byID) < known {
			e.publish()
		}
	}
	close(e.moved)
	e.moved = make(chan struct{})
}

// resetIfRecreated records the bucket that is read from now on. If it was recreated or has lost its
// end, its revisions begin again. The known apps stay until the bucket has been read.
func (e *entries) resetIfRecreated(bucket *jetstream.StreamInfo) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isOther(bucket) {
		for id, one := range e.byID {
			one.revision = 0
			e.byID[id] = one
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

// update applies a stored registration.
func (e *entries) update(id string, data []byte, revision uint64) {
	one, err := newEntry(id, data, revision)
	if err != nil {
		e.log.Error("registration unusable; the app keeps its previous one", "app", id, "error", err)
		e.advance(revision)
		return
	}
	e.set(id, one)
}

// forget applies a deletion. It keeps the revision, so that an older registration does not come
// back.
func (e *entries) forget(id string, revision uint64) {
	e.set(id, entry{revision: revision, gone: true})
}

func (e *entries) set(id string, one entry) {
	defer e.advance(one.revision) // only after set: a goroutine in await must find the app
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byID[id].revision < one.revision {
		e.byID[id] = one
		e.publish()
	}
}

// publish makes the registrations known after a change.
func (e *entries) publish() {
	var registered []*room.Registration
	manifests := []room.Manifest{}
	for one := range maps.Values(e.byID) {
		if one.registration != nil {
			registered = append(registered, one.registration)
			manifests = append(manifests, one.registration.Effective())
		}
	}
	slices.SortFunc(manifests, room.Manifest.Compare)
	e.sorted.Store(&manifests)
	e.changed(registered)
}

// registrations returns the known registrations, and the revision of the bucket up to which they
// are known.
func (e *entries) registrations() (known map[string]entry, revision uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known = make(map[string]entry)
	for id, one := range e.byID {
		if !one.gone {
			known[id] = one
		}
	}
	return known, e.revision
}
