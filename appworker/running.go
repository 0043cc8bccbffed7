package appworker

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

// running are the handlers that run. It logs those that ignore that their time is over: each keeps
// one of the Concurrency places of its kind.
type running struct {
	log    *slog.Logger
	places int // of pre-event handlers, and of post-event handlers

	mu  sync.Mutex
	all map[*handling]struct{}
}

// handling is one handler that runs.
type handling struct {
	i     room.Interface
	event string
	began time.Time
	due   time.Time // when its context ends
	late  bool      // that has been logged
}

func newRunning(log *slog.Logger, places int) *running {
	return &running{log: log, places: places, all: make(map[*handling]struct{})}
}

// begin takes note of a handler until end is called. ctx is the handler's.
func (r *running) begin(ctx context.Context, i room.Interface, event string) (end func()) {
	h := &handling{i: i, event: event, began: time.Now()}
	h.due, _ = ctx.Deadline()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[h] = struct{}{}
	return func() { r.end(h) }
}

func (r *running) end(h *handling) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, h)
	if h.late {
		r.log.Info("handler ended after its time", "interface", h.i, "event", h.event, "took", time.Since(h.began).Round(time.Millisecond))
	}
}

const (
	// lateAfter is how long a handler may take to notice that its context has ended.
	lateAfter  = 100 * time.Millisecond
	watchEvery = time.Second
)

// watch logs handlers that are past their time, each once, until the context ends.
func (r *running) watch(ctx context.Context) {
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

func (r *running) warn(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for h := range r.all {
		if h.late || now.Before(h.due.Add(lateAfter)) {
			continue
		}
		h.late = true
		r.log.Warn("handler still running after its time", "interface", h.i, "event", h.event,
			"running_for", now.Sub(h.began).Round(time.Millisecond), "time", h.due.Sub(h.began).Round(time.Millisecond),
			"places_taken", fmt.Sprintf("%d of %d", r.like(h.i), r.places))
	}
}

// like is how many handlers take places of the same kind.
func (r *running) like(i room.Interface) (n int) {
	for h := range r.all {
		if h.i.Pre() == i.Pre() {
			n++
		}
	}
	return n
}

// are says how many handlers of which interface run, such as "PreRoomUserJoined 2", among those that
// the condition holds for. It is empty if none does.
func (r *running) are(among func(room.Interface) bool) string {
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
