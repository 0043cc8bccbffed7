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

	"github.com/roombus/roombus/condition"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
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
	stats    map[callKind]*hookStats
	revision uint64        // of the bucket, read so far
	complete bool          // the watch has delivered all initial entries
	unknown  error         // why the entries may be stale
	upTo     uint64        // the revision of the bucket's leader when the watch began
	moved    chan struct{} // closed and replaced when revision, complete or upTo changes
	schedule atomic.Pointer[schedule]
}

// entry is one app in the bucket.
type entry struct {
	registration room.Registration
	data         []byte // the registration as it is stored
	conditions   map[room.Interface]*condition.Condition
	broken       error                       // why the conditions do not compile
	breakers     map[room.Interface]*breaker // replaced when the registration changes
	revision     uint64
	gone         bool
}

// callKind is the key of stats: an app and an interface.
type callKind struct {
	app   string
	iface room.Interface
}

// schedule is derived from the registrations whenever one changes.
type schedule struct {
	apps   []room.Manifest // sorted
	hooks  []*hook         // sorted
	rounds map[room.EventType][]round
}

func newApps(kv jetstream.KeyValue, cfg Config) *apps {
	a := &apps{kv: kv, cfg: cfg, entries: make(map[string]entry), stats: make(map[callKind]*hookStats), moved: make(chan struct{})}
	a.reschedule()
	return a
}

// rounds returns the rounds of apps to ask before an event, in order.
func (a *apps) rounds(e room.EventType) []round { return a.schedule.Load().rounds[e] }

// list returns every app, sorted.
func (a *apps) list() []room.Manifest { return a.schedule.Load().apps }

// hooks returns the hooks of every app, sorted by app.
func (a *apps) hooks() []*hook { return a.schedule.Load().hooks }

// revive lets the next command probe an app whose breakers are open.
func (a *apps) revive(id string) {
	for _, k := range a.hooks() {
		if k.manifest.ID == id {
			k.breaker.revive()
		}
	}
}

// get returns a registered app.
func (a *apps) get(id string) (room.Registration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.entries[id]
	return e.registration, ok && !e.gone
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
			a.reschedule()
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
	e, err := a.entry(id, data, revision)
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
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries[id].gone {
		maps.DeleteFunc(a.stats, func(k callKind, _ *hookStats) bool { return k.app == id })
	}
}

func decodeRegistration(data []byte) (room.Registration, error) {
	var r room.Registration
	if err := room.DecodeLenient(data, &r); err != nil {
		return r, err
	}
	return r, r.Validate()
}

// entry decodes a registration and compiles its conditions.
func (a *apps) entry(id string, data []byte, revision uint64) (entry, error) {
	r, err := decodeRegistration(data)
	if err != nil {
		return entry{}, err
	}
	if r.ID != id {
		return entry{}, fmt.Errorf("it is the registration of app %q", r.ID)
	}
	e := entry{registration: r, data: data, breakers: make(map[room.Interface]*breaker), revision: revision}
	if e.conditions, e.broken = condition.CompileAll(r.Manifest); e.broken != nil {
		// Another version of the service has accepted the registration. Skipping an essential app
		// because of it would let through changes that the app may deny.
		a.cfg.Logger.Error("conditions of app unusable; the app fails where it has one", "app", id, "error", e.broken)
	}
	for _, i := range r.Implements {
		if i.Pre() {
			e.breakers[i] = newBreaker(r.ID, i, a.cfg)
		}
	}
	return e, nil
}

func (a *apps) set(id string, e entry) {
	defer a.advance(e.revision) // only after set: a goroutine in await must find the app
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries[id].revision < e.revision {
		a.entries[id] = e
		a.reschedule()
	}
}

func (a *apps) reschedule() {
	s := &schedule{apps: []room.Manifest{}, rounds: make(map[room.EventType][]round)}
	for e := range maps.Values(a.entries) {
		if !e.gone {
			s.apps = append(s.apps, e.registration.Effective())
		}
	}
	slices.SortFunc(s.apps, room.Manifest.Compare)
	for _, m := range s.apps {
		s.hooks = append(s.hooks, a.hooksOf(m, a.entries[m.ID])...)
	}
	for _, e := range room.EventTypes() {
		s.rounds[e] = rounds(e, a.cfg.Budget, func(i room.Interface) []*hook {
			return slices.DeleteFunc(slices.Clone(s.hooks), func(k *hook) bool { return k.iface != i })
		})
	}
	a.schedule.Store(s)
}

// hooksOf returns a hook for each pre-interface of an app.
func (a *apps) hooksOf(m room.Manifest, e entry) []*hook {
	var all []*hook
	for _, i := range room.Interfaces() {
		if !i.Pre() || !m.Has(i) {
			continue
		}
		kind := callKind{app: m.ID, iface: i}
		if a.stats[kind] == nil {
			a.stats[kind] = &hookStats{}
		}
		k := &hook{
			manifest: m, iface: i, subject: subjects.Pre(i, m.ID), retry: subjects.PreRetry(i, m.ID),
			condition: e.conditions[i], breaker: e.breakers[i], stats: a.stats[kind],
		}
		if m.When[i] != "" {
			k.broken = e.broken
		}
		all = append(all, k)
	}
	return all
}
