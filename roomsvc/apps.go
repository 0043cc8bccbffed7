package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
)

// apps is the registry: the manifests in the bucket, watched, so that every service knows
// them without asking.
type apps struct {
	kv  jetstream.KeyValue
	log *slog.Logger

	mu       sync.Mutex
	entries  map[string]entry
	schedule atomic.Pointer[schedule]
}

type entry struct {
	manifest room.Manifest
	revision uint64
	gone     bool
}

// round is one asking: of several apps in parallel, or of one in a chain.
type round struct {
	phase room.Interface
	apps  []room.Manifest
	// ahead is how long this round and those after it take if every app uses its time up.
	ahead time.Duration
}

// schedule is what follows from the manifests, made when one changes.
type schedule struct {
	apps   []room.Manifest // in order
	rounds map[room.EventType][]round
}

func newApps(kv jetstream.KeyValue, log *slog.Logger) *apps {
	a := &apps{kv: kv, log: log, entries: make(map[string]entry)}
	a.reschedule()
	return a
}

// rounds is who is to be asked before an event, and in which order: all apps of a phase at
// once, but those that modify one after the other, each with what the last one made.
func (a *apps) rounds(e room.EventType) []round { return a.schedule.Load().rounds[e] }

// list is every app, in order.
func (a *apps) list() []room.Manifest { return a.schedule.Load().apps }

func (a *apps) get(id string) (room.Manifest, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.entries[id]
	return e.manifest, ok && !e.gone
}

// put stores a manifest, and returns what is stored: another one if the app has been
// registered with a later version, which an old worker must not undo.
func (a *apps) put(ctx context.Context, m room.Manifest) (room.Manifest, error) {
	for {
		was, err := a.read(ctx, m.ID)
		if err != nil {
			return m, err
		}
		if later(was.manifest.Version, m.Version) {
			return was.manifest, nil
		}
		stored := m.WithDefaults()
		data, err := json.Marshal(stored)
		if err != nil {
			return m, fmt.Errorf("encoding the manifest: %w", err)
		}
		revision, err := a.write(ctx, m.ID, data, was.revision)
		if errors.Is(err, jetstream.ErrKeyExists) {
			continue // somebody else was faster
		}
		if err != nil {
			return m, fmt.Errorf("storing the manifest: %w", err)
		}
		a.learn(stored, revision)
		return stored, nil
	}
}

func later(version, than string) bool {
	v, err := semver.NewVersion(version)
	if err != nil {
		return false // there is none
	}
	return v.GreaterThan(semver.MustParse(than)) // it has been validated
}

// read is the manifest in the bucket, with revision 0 if there is none. One that cannot be
// used is as good as none, but for its revision.
func (a *apps) read(ctx context.Context, id string) (entry, error) {
	e, err := a.kv.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return entry{}, nil
	}
	if err != nil {
		return entry{}, fmt.Errorf("reading the manifest: %w", err)
	}
	m, err := decodeManifest(e)
	if err != nil {
		m = room.Manifest{}
	}
	return entry{manifest: m, revision: e.Revision()}, nil
}

func (a *apps) write(ctx context.Context, id string, data []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return a.kv.Create(ctx, id, data) // also after a deletion
	}
	return a.kv.Update(ctx, id, data, revision)
}

// watch learns every manifest there is before it returns, and whatever changes until the
// context ends.
func (a *apps) watch(ctx context.Context) error {
	w, err := a.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watching the apps: %w", err)
	}
	for e := range w.Updates() {
		if e == nil { // everything that was there has come
			go func() {
				for e := range w.Updates() {
					a.update(e)
				}
			}()
			return nil
		}
		a.update(e)
	}
	return fmt.Errorf("watching the apps: %w", ctx.Err())
}

func (a *apps) update(e jetstream.KeyValueEntry) {
	if e.Operation() != jetstream.KeyValuePut {
		a.forget(e.Key(), e.Revision())
		return
	}
	m, err := decodeManifest(e)
	if err != nil {
		a.log.Error("a manifest in the bucket cannot be used; the app stays as it was", "app", e.Key(), "error", err)
		return
	}
	a.learn(m, e.Revision())
}

func decodeManifest(e jetstream.KeyValueEntry) (room.Manifest, error) {
	var m room.Manifest
	if err := room.DecodeLenient(e.Value(), &m); err != nil {
		return m, err
	}
	return m, m.Validate()
}

func (a *apps) learn(m room.Manifest, revision uint64) {
	a.set(m.ID, entry{manifest: m, revision: revision})
}

// forget keeps the revision, so that what was stored before the deletion does not come back.
func (a *apps) forget(id string, revision uint64) {
	a.set(id, entry{revision: revision, gone: true})
}

func (a *apps) set(id string, e entry) {
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
			s.apps = append(s.apps, e.manifest)
		}
	}
	slices.SortFunc(s.apps, room.Manifest.Compare)
	for _, e := range room.EventTypes() {
		s.rounds[e] = roundsOf(e, s.apps)
	}
	a.schedule.Store(s)
}

func roundsOf(e room.EventType, all []room.Manifest) []round {
	var rounds []round
	for _, phase := range e.Phases() {
		concerned := slices.DeleteFunc(slices.Clone(all), func(m room.Manifest) bool { return !m.Has(phase) })
		size := len(concerned)
		if phase.Content() == room.ContentModify {
			size = 1
		}
		for asked := range slices.Chunk(concerned, max(1, size)) {
			rounds = append(rounds, round{phase: phase, apps: asked})
		}
	}
	var ahead time.Duration
	for n := len(rounds) - 1; n >= 0; n-- {
		ahead += longest(rounds[n].apps)
		rounds[n].ahead = ahead
	}
	return rounds
}

func longest(asked []room.Manifest) time.Duration {
	var t time.Duration
	for _, m := range asked {
		if m.IsEnabled() {
			t = max(t, m.Timeout())
		}
	}
	return t
}
