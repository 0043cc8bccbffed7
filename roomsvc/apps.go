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

// apps is the registry: the registrations in the bucket, watched, so that every service knows
// them without asking.
type apps struct {
	kv  jetstream.KeyValue
	cfg Config

	changing sync.Map // a mutex for each app

	mu       sync.Mutex
	created  time.Time // of the bucket that the entries are from
	entries  map[string]entry
	stats    map[callKind]*hookStats
	revision uint64        // of the bucket, known so far
	complete bool          // the watch has brought what it found
	unknown  error         // why not everything in the bucket is known
	upTo     uint64        // and the bucket's leader has had this revision then
	moved    chan struct{} // closed and replaced when one of the three has changed
	schedule atomic.Pointer[schedule]
}

// entry is one app in the bucket.
type entry struct {
	registration room.Registration
	data         []byte // the registration as it is stored
	conditions   map[room.Interface]*condition.Condition
	broken       error                       // why there are no conditions, though there should be
	breakers     map[room.Interface]*breaker // new ones whenever the registration changes
	revision     uint64
	gone         bool
}

// callKind is what figures are of.
type callKind struct {
	app   string
	iface room.Interface
}

// schedule is what follows from the registrations, made when one changes.
type schedule struct {
	apps   []room.Manifest // in order
	hooks  []*hook         // likewise
	rounds map[room.EventType][]round
}

func newApps(kv jetstream.KeyValue, cfg Config) *apps {
	a := &apps{kv: kv, cfg: cfg, entries: make(map[string]entry), stats: make(map[callKind]*hookStats), moved: make(chan struct{})}
	a.reschedule()
	return a
}

// rounds is who is to be asked before an event, and in which order.
func (a *apps) rounds(e room.EventType) []round { return a.schedule.Load().rounds[e] }

// list is every app, in order.
func (a *apps) list() []room.Manifest { return a.schedule.Load().apps }

// contacts is every app, in order, for each pre-interface that it implements.
func (a *apps) hooks() []*hook { return a.schedule.Load().hooks }

// revive has an app asked again whose breakers are open.
func (a *apps) revive(id string) {
	for _, k := range a.hooks() {
		if k.manifest.ID == id {
			k.breaker.revive()
		}
	}
}

// get is an app that is registered.
func (a *apps) get(id string) (room.Registration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.entries[id]
	return e.registration, ok && !e.gone
}

// wasRemoved reports whether the bucket has the deletion of an app.
func (a *apps) wasRemoved(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entries[id].gone
}

// reached is the revision of the bucket up to which this service knows it, 0 if it may have
// missed something.
func (a *apps) syncedRevision() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.isSynced() {
		return 0
	}
	return a.revision
}

// isKnown reports whether everything in the bucket is known.
func (a *apps) isSynced() bool { return a.complete && a.revision >= a.upTo }

// wait returns when everything in the bucket is known, or an error of code unavailable when
// the context ends.
func (a *apps) awaitSync(ctx context.Context) error {
	if a.await(ctx, a.isSynced) == nil {
		return nil
	}
	err := room.Errorf(room.CodeUnavailable, "it is not known at the moment which apps are to be asked")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unknown != nil {
		err.Message += ": " + a.unknown.Error()
	}
	return err
}

// reach returns when the bucket is known up to the revision, or an error when the context
// ends.
func (a *apps) awaitRevision(ctx context.Context, revision uint64) error {
	return a.await(ctx, func() bool { return a.isSynced() && a.revision >= revision })
}

// until returns when what is known of the bucket makes the condition hold.
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

// know takes note that what was in the bucket when the watch began has come, which is everything up
// to the revision.
func (a *apps) markSynced(upTo uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.complete, a.upTo, a.unknown = true, upTo, nil
	a.notify()
}

// doubt takes note that changes of the bucket may be missed, and why.
func (a *apps) markStale(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.complete, a.upTo, a.unknown = false, 0, why
}

// pass takes note of a revision that has come.
func (a *apps) advance(revision uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revision = max(a.revision, revision)
	a.notify()
}

// arrived wakes those who wait for the bucket to be known. Once it is, apps of a bucket before this one are
// forgotten: until then a command that has begun still asks them.
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

// recognize takes note of the bucket that is read from now on. If it is another one than before, or has
// lost its end, its revisions begin again: what is known of apps is kept only until it has been read.
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

// differs reports whether the bucket, nil if there is none, lacks what this service may have read: it is another
// one than before, or ends before what is known of it.
func (a *apps) differs(bucket *jetstream.StreamInfo) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.isOther(bucket)
}

func (a *apps) isOther(bucket *jetstream.StreamInfo) bool {
	return bucket == nil || !a.created.IsZero() && (!bucket.Created.Equal(a.created) || bucket.State.LastSeq < a.revision)
}

// update learns what has been stored of an app.
func (a *apps) update(id string, data []byte, revision uint64) {
	e, err := a.entry(id, data, revision)
	if err != nil {
		a.cfg.Logger.Error("a registration in the bucket cannot be used; the app stays as it was", "app", id, "error", err)
		a.advance(revision)
		return
	}
	a.set(id, e)
}

// forget keeps the revision, so that what was stored before the deletion does not come back.
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

// entry makes an app ready to be asked.
func (a *apps) entry(id string, data []byte, revision uint64) (entry, error) {
	r, err := decodeRegistration(data)
	if err != nil {
		return entry{}, err
	}
	if r.ID != id {
		return entry{}, fmt.Errorf("it is that of app %q", r.ID)
	}
	e := entry{registration: r, data: data, breakers: make(map[room.Interface]*breaker), revision: revision}
	if e.conditions, e.broken = condition.CompileAll(r.Manifest); e.broken != nil {
		// Another version of the service has taken it. To pass over an essential app for that would
		// let through what it may deny.
		a.cfg.Logger.Error("the conditions of an app cannot be used; it fails where it has one", "app", id, "error", e.broken)
	}
	for _, i := range r.Implements {
		if i.Pre() {
			e.breakers[i] = newBreaker(r.ID, i, a.cfg)
		}
	}
	return e, nil
}

func (a *apps) set(id string, e entry) {
	defer a.advance(e.revision) // only then: who waits for it finds the app
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

// contactsOf is an app for each pre-interface that it implements.
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
