package running

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roombus/roombus/room"
)

// Handlers is the set of running handlers. It logs handlers that ignore their deadline, because each
// occupies one of the slots of its kind. Its methods may be called concurrently.
type Handlers struct {
	log   *slog.Logger
	slots int // of pre-event handlers, and of post-event handlers

	mu  sync.Mutex
	all map[*handler]struct{}
}

// handler is a handler that is running.
type handler struct {
	i     room.Interface
	event string
	began time.Time
	due   time.Time // deadline of its context
	late  bool      // logged as late
}

// New returns an empty set. slots is the bound on running handlers of each kind, for the log.
func New(log *slog.Logger, slots int) *Handlers {
	return &Handlers{log: log, slots: slots, all: make(map[*handler]struct{})}
}

// Begin adds a handler until end is called. ctx is the handler's context.
func (r *Handlers) Begin(ctx context.Context, i room.Interface, event string) (end func()) {
	h := &handler{i: i, event: event, began: time.Now()}
	h.due, _ = ctx.Deadline()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[h] = struct{}{}
	return func() { r.end(h) }
}

func (r *Handlers) end(h *handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, h)
	if h.late {
		r.log.Info("handler ended after its time", "interface", h.i, "event", h.event, "took", time.Since(h.began).Round(time.Millisecond))
	}
}

const (
	// lateAfter is how long after its deadline a running handler is logged.
	lateAfter  = 100 * time.Millisecond
	watchEvery = time.Second
)

// Watch logs handlers that run after their deadline, each once, until the context ends.
func (r *Handlers) Watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			r.warn(now)
		case <-ctx.Done():
			return
		}
	}
}

func (r *Handlers) warn(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for h := range r.all {
		if h.late || now.Before(h.due.Add(lateAfter)) {
			continue
		}
		h.late = true
		r.log.Warn("handler still running after its time", "interface", h.i, "event", h.event,
			"running_for", now.Sub(h.began).Round(time.Millisecond), "time", h.due.Sub(h.began).Round(time.Millisecond),
			"places_taken", fmt.Sprintf("%d of %d", r.sameKind(h.i), r.slots))
	}
}

// sameKind returns the number of running pre-event or post-event handlers, as i is one or the other.
func (r *Handlers) sameKind(i room.Interface) (n int) {
	for h := range r.all {
		if h.i.Pre() == i.Pre() {
			n++
		}
	}
	return n
}

// Describe returns the number of running handlers for each interface that the condition holds for, such
// as "PreRoomUserJoined 2". It is empty if there are none.
func (r *Handlers) Describe(among func(room.Interface) bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[room.Interface]int)
	for h := range r.all {
		if among(h.i) {
			counts[h.i]++
		}
	}
	var all []string
	for i, n := range counts {
		all = append(all, fmt.Sprintf("%s %d", i, n))
	}
	slices.SortFunc(all, cmp.Compare[string])
	return strings.Join(all, ", ")
}
