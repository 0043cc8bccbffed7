package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/condition"
	"github.com/roombus/roombus/room"
)

// apps is the registry: the registrations in the bucket, watched, so that every service knows
// them without asking.
type apps struct {
	kv  jetstream.KeyValue
	cfg Config

	mu       sync.Mutex
	entries  map[string]entry
	figures  map[callKind]*figures
	revision uint64 // of the bucket, known so far
	schedule atomic.Pointer[schedule]
}

// entry is one app in the bucket.
type entry struct {
	registration room.Registration
	conditions   map[room.Interface]*condition.Condition
	circuits     map[room.Interface]*circuit // new ones whenever the registration changes
	revision     uint64
	gone         bool
}

// callKind is what figures are of.
type callKind struct {
	app   string
	phase room.Interface
}

// schedule is what follows from the registrations, made when one changes.
type schedule struct {
	apps     []room.Manifest // in order
	contacts []*contact      // likewise
	rounds   map[room.EventType][]round
}

func newApps(kv jetstream.KeyValue, cfg Config) *apps {
	a := &apps{kv: kv, cfg: cfg, entries: make(map[string]entry), figures: make(map[callKind]*figures)}
	a.reschedule()
	return a
}

// rounds is who is to be asked before an event, and in which order.
func (a *apps) rounds(e room.EventType) []round { return a.schedule.Load().rounds[e] }

// list is every app, in order.
func (a *apps) list() []room.Manifest { return a.schedule.Load().apps }

// contacts is every app, in order, for each pre-interface that it implements.
func (a *apps) contacts() []*contact { return a.schedule.Load().contacts }

// get is an app that is registered.
func (a *apps) get(id string) (room.Registration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.entries[id]
	return e.registration, ok && !e.gone
}

// known is the revision of the bucket up to which this service knows it.
func (a *apps) known() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.revision
}

// revise makes another registration of an app's; it is given nil for an app that has none. It
// returns false if what there is stays. It may run more than once.
type revise func(*room.Registration) (next room.Registration, changed bool, err error)

// change stores a revised registration, and returns it with its revision: 0 if what there was
// has stayed.
func (a *apps) change(ctx context.Context, id string, revised revise) (room.Registration, uint64, error) {
	for {
		was, err := a.read(ctx, id)
		if err != nil {
			return room.Registration{}, 0, err
		}
		next, changed, err := revised(was.stored())
		if err != nil || !changed {
			return next, 0, err
		}
		data, err := json.Marshal(next)
		if err != nil {
			return next, 0, fmt.Errorf("encoding the registration: %w", err)
		}
		revision, err := a.write(ctx, id, data, was.revision)
		if errors.Is(err, jetstream.ErrKeyExists) {
			continue // somebody else was faster
		}
		if err != nil {
			return next, 0, fmt.Errorf("storing the registration: %w", err)
		}
		a.update(id, data, revision)
		return next, revision, nil
	}
}

// remove deletes an app's registration and returns the revision of the deletion.
func (a *apps) remove(ctx context.Context, id string) (uint64, error) {
	if err := a.kv.Delete(ctx, id); err != nil {
		return 0, fmt.Errorf("deleting the registration: %w", err)
	}
	history, err := a.kv.History(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("reading the deletion: %w", err)
	}
	var revision uint64
	for _, e := range history { // the latest comes last; it may be a new registration
		if e.Operation() != jetstream.KeyValuePut {
			revision = e.Revision()
		}
	}
	a.forget(id, revision)
	return revision, nil
}

// record is what the bucket has of an app.
type record struct {
	data     string
	revision uint64
}

// stored is the registration; nil if there is none, or none that can be used.
func (r record) stored() *room.Registration {
	reg, err := decodeRegistration([]byte(r.data))
	if r.data == "" || err != nil {
		return nil
	}
	return &reg
}

func (a *apps) read(ctx context.Context, id string) (record, error) {
	e, err := a.kv.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("reading the registration: %w", err)
	}
	return record{data: string(e.Value()), revision: e.Revision()}, nil
}

func (a *apps) write(ctx context.Context, id string, data []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return a.kv.Create(ctx, id, data) // also after a deletion
	}
	return a.kv.Update(ctx, id, data, revision)
}

// watch learns every app there is before it returns, and whatever changes until the context
// ends.
func (a *apps) watch(ctx context.Context) error {
	w, err := a.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watching the apps: %w", err)
	}
	learn := func(e jetstream.KeyValueEntry) {
		if e.Operation() != jetstream.KeyValuePut {
			a.forget(e.Key(), e.Revision())
			return
		}
		a.update(e.Key(), e.Value(), e.Revision())
	}
	for e := range w.Updates() {
		if e == nil { // everything that was there has come
			go func() {
				for e := range w.Updates() {
					learn(e)
				}
			}()
			return nil
		}
		learn(e)
	}
	return fmt.Errorf("watching the apps: %w", ctx.Err())
}

// update learns what has been stored of an app.
func (a *apps) update(id string, data []byte, revision uint64) {
	e, err := a.entry(data, revision)
	if err != nil {
		a.cfg.Logger.Error("a registration in the bucket cannot be used; the app stays as it was", "app", id, "error", err)
		a.reach(revision)
		return
	}
	a.set(id, e)
}

// forget keeps the revision, so that what was stored before the deletion does not come back.
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

// entry makes an app ready to be asked.
func (a *apps) entry(data []byte, revision uint64) (entry, error) {
	r, err := decodeRegistration(data)
	if err != nil {
		return entry{}, err
	}
	conditions, err := condition.CompileAll(r.Manifest)
	if err != nil {
		return entry{}, err
	}
	e := entry{registration: r, conditions: conditions, circuits: make(map[room.Interface]*circuit), revision: revision}
	for _, i := range r.Implements {
		if i.Pre() {
			e.circuits[i] = newCircuit(r.ID, i, a.cfg)
		}
	}
	return e, nil
}

func (a *apps) reach(revision uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revision = max(a.revision, revision)
}

func (a *apps) set(id string, e entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries[id].revision < e.revision {
		a.entries[id] = e
		a.reschedule()
	}
	a.revision = max(a.revision, e.revision)
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
		s.contacts = append(s.contacts, a.contactsOf(m)...)
	}
	for _, e := range room.EventTypes() {
		s.rounds[e] = rounds(e, func(i room.Interface) []*contact {
			return slices.DeleteFunc(slices.Clone(s.contacts), func(k *contact) bool { return k.phase != i })
		})
	}
	a.schedule.Store(s)
}

// contactsOf is an app for each pre-interface that it implements.
func (a *apps) contactsOf(m room.Manifest) []*contact {
	e := a.entries[m.ID]
	var all []*contact
	for _, i := range room.Interfaces() {
		if !i.Pre() || !m.Has(i) {
			continue
		}
		kind := callKind{app: m.ID, phase: i}
		if a.figures[kind] == nil {
			a.figures[kind] = &figures{}
		}
		all = append(all, &contact{manifest: m, phase: i, condition: e.conditions[i], circuit: e.circuits[i], figures: a.figures[kind]})
	}
	return all
}
