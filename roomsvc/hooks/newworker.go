package hooks

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

const (
	newWorkerLook = 250 * time.Millisecond // between two lookups of workers
	newWorkerWait = 500 * time.Millisecond // bounds a lookup: a worker that hangs may not answer
)

// Run looks for new workers of failing essential apps until the context ends. When it
// finds a worker that was not there when the app began to fail, an open breaker probes the app at
// once. A worker of the SDK registers, which revives the breaker too; this is for other workers.
// Each new worker allows one probe. The service looks only while an app fails.
func (h *Hooks) Run(ctx context.Context) {
	known := make(map[string]instances)
	for bus.Sleep(ctx, newWorkerLook) {
		failing := h.failing()
		maps.DeleteFunc(known, func(app string, _ instances) bool { _, still := failing[app]; return !still })
		var looks sync.WaitGroup
		for app, isOpen := range failing {
			there, looked := known[app]
			if !looked {
				there = make(instances)
				known[app] = there
			} else if !isOpen {
				continue
			}
			looks.Go(func() {
				if there.addNew(ctx, h.cfg.Conn, h.pingInbox(app), app) && looked {
					h.log.Info("new worker of an app found; asking the app again", "app", app)
					h.Revive(app)
				}
			})
		}
		looks.Wait()
	}
}

// instances is a set of workers by their micro ids.
type instances map[string]bool

// addNew adds the live workers of an app, and reports whether one of them is new.
func (known instances) addNew(ctx context.Context, nc *nats.Conn, inbox, app string) (found bool) {
	ctx, cancel := context.WithTimeout(ctx, newWorkerWait)
	defer cancel()
	workers, _ := bus.PingFrom(ctx, nc, inbox, app) // a failed lookup finds none
	for _, w := range workers {
		found = found || !known[w.ID]
		known[w.ID] = true
	}
	return found
}

func (h *Hooks) pingInbox(app string) string {
	for _, k := range h.hooks() {
		if k.manifest.ID == app {
			return k.pingInbox()
		}
	}
	return ""
}

// failing lists the essential apps that fail, since they block commands or may soon. The value is
// true for apps with an open breaker.
func (h *Hooks) failing() map[string]bool {
	all := make(map[string]bool)
	for _, k := range h.hooks() {
		if !k.manifest.IsEnabled() || !k.enforcedEssential() {
			continue
		}
		if state := k.breaker.state(); state != room.BreakerClosed || k.breaker.run.hasBegun() {
			all[k.manifest.ID] = all[k.manifest.ID] || state == room.BreakerOpen
		}
	}
	return all
}
