package hooks

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policy"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
	"github.com/roombus/roombus/subjects"
)

// Config configures Hooks. All fields are required.
type Config struct {
	Conn            *nats.Conn
	Requester       *bus.Requester // sends the pre-events
	Budget          time.Duration  // total time of a command
	BreakerFailures int            // failures or timeouts in a row that open a breaker
	BreakerPause    time.Duration  // how long an open breaker waits before it probes the app
	MaxAbandoned    int            // bounds the rounds that receive answers in the background
	Logger          *slog.Logger
}

// Hooks asks apps about drafts. It has a hook for each pre-interface of each registered app.
type Hooks struct {
	cfg  Config
	log  *slog.Logger
	plan atomic.Pointer[plan]

	mu    sync.Mutex
	apps  map[string]*app
	stats map[statsKey]*hookStats // kept while an app stays registered

	ignored ignored

	ctx        context.Context // ends with Close
	stop       context.CancelFunc
	background sync.WaitGroup
	abandoned  chan struct{} // bounds the rounds in the background
}

// app is what is kept of one registration until another one replaces it.
type app struct {
	registration *room.Registration
	conditions   map[room.Interface]*expression.Condition
	broken       error // why the conditions do not compile
	policies     map[room.Interface]*policy.Policy
	unusable     error // why the policies do not compile
	breakers     map[room.Interface]*breaker
}

// statsKey is an app and an interface.
type statsKey struct {
	app   string
	iface room.Interface
}

// plan is derived from the registrations whenever one changes.
type plan struct {
	hooks  []*hook // sorted by the order of apps
	rounds map[room.EventType][]Round
}

// New returns Hooks without apps. The caller calls Close in the end.
func New(cfg Config) *Hooks {
	h := &Hooks{
		cfg: cfg, log: cfg.Logger, ignored: ignored{log: cfg.Logger}, apps: make(map[string]*app), stats: make(map[statsKey]*hookStats),
		abandoned: make(chan struct{}, cfg.MaxAbandoned),
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.Set(nil, nil)
	return h
}

// Close stops receiving answers in the background.
func (h *Hooks) Close() {
	h.stop()
	h.background.Wait()
}

// Set replaces the registered apps and the documents that policies read. An app whose registration is the
// same pointer as before keeps its breakers, since a changed registration is a new start for the app.
func (h *Hooks) Set(registered []*room.Registration, params expression.Params) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := make(map[string]*app, len(registered))
	var manifests []room.Manifest
	for _, r := range registered {
		is := h.apps[r.ID]
		if is == nil || is.registration != r {
			is = h.newApp(r)
		}
		next[r.ID] = is
		manifests = append(manifests, r.Effective())
	}
	h.apps = next
	maps.DeleteFunc(h.stats, func(k statsKey, _ *hookStats) bool { return next[k.app] == nil })
	slices.SortFunc(manifests, room.Manifest.Compare)
	p := &plan{rounds: make(map[room.EventType][]Round)}
	for _, m := range manifests {
		p.hooks = append(p.hooks, h.hooksOf(m, next[m.ID], params)...)
	}
	for _, e := range room.EventTypes() {
		p.rounds[e] = rounds(e, h.cfg.Budget, func(i room.Interface) []*hook {
			return slices.DeleteFunc(slices.Clone(p.hooks), func(k *hook) bool { return k.iface != i })
		})
	}
	h.plan.Store(p)
}

func (h *Hooks) newApp(r *room.Registration) *app {
	a := &app{registration: r, breakers: make(map[room.Interface]*breaker)}
	if a.conditions, a.broken = expression.CompileAll(r.Manifest); a.broken != nil {
		// Another version of the service has accepted the registration. Skipping an essential app
		// because of it would let through changes that the app may deny.
		h.log.Error("conditions of app unusable; the app fails where it has one", "app", r.ID, "error", a.broken)
	}
	if a.policies, a.unusable = policy.CompileAll(r.Manifest); a.unusable != nil {
		h.log.Error("rules of policy unusable; the policy fails", "app", r.ID, "error", a.unusable)
	}
	for _, i := range r.Implements {
		if i.Pre() {
			a.breakers[i] = newBreaker(r.ID, i, h.cfg)
		}
	}
	return a
}

// hooksOf returns a hook for each pre-interface of an app with this manifest in force.
func (h *Hooks) hooksOf(m room.Manifest, a *app, params expression.Params) []*hook {
	var all []*hook
	for _, i := range room.Interfaces() {
		if !i.Pre() || !m.Has(i) {
			continue
		}
		key := statsKey{app: m.ID, iface: i}
		if h.stats[key] == nil {
			h.stats[key] = &hookStats{}
		}
		k := &hook{
			manifest: m, iface: i, essential: m.Essential(i),
			address:   address{subject: subjects.Pre(i, m.ID), retry: subjects.PreRetry(i, m.ID), apart: a.registration.Account != ""},
			condition: a.conditions[i], policy: a.policies[i], unusable: a.unusable, params: params,
			breaker: a.breakers[i], stats: h.stats[key],
		}
		if m.When[i] != "" {
			k.broken = a.broken
		}
		all = append(all, k)
	}
	return all
}

// Rounds returns the rounds of apps to ask before an event, in order.
func (h *Hooks) Rounds(e room.EventType) []Round { return h.plan.Load().rounds[e] }

func (h *Hooks) hooks() []*hook { return h.plan.Load().hooks }

// Revive lets the next command probe an app whose breakers are open, since the app has shown that
// it is alive.
func (h *Hooks) Revive(app string) {
	for _, k := range h.hooks() {
		if k.manifest.ID == app {
			k.breaker.revive()
		}
	}
}

// Late counts the late verdicts since the start.
func (h *Hooks) Late() uint64 { return h.ignored.lateCount.Load() }

// Reports returns the stats of the hooks of an app, or of all apps if it is empty.
func (h *Hooks) Reports(app string) []hookstats.Report {
	var all []hookstats.Report
	for _, k := range h.hooks() {
		if app == "" || app == k.manifest.ID {
			all = append(all, k.report())
		}
	}
	return all
}
