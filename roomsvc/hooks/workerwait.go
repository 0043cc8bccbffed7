package hooks

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// workerLook is the interval at which a starting service looks for workers.
const workerLook = 50 * time.Millisecond

// AwaitWorkers waits for the workers of essential apps, at most for that time. After a restart of
// the whole system the service starts before the workers, and would refuse the first commands. It
// returns an error only if the context ends.
func (h *Hooks) AwaitWorkers(ctx context.Context, atMost time.Duration) error {
	began := time.Now()
	waiting, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	missing := h.withoutWorker(waiting)
	if len(missing) == 0 {
		return nil
	}
	h.log.Info("waiting for workers of essential apps", "apps", missing, "at_most", atMost)
	for len(missing) > 0 && bus.Sleep(waiting, workerLook) {
		missing = h.withoutWorker(waiting)
	}
	waited := time.Since(began).Round(time.Millisecond)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("waiting for workers of essential apps: %w", ctx.Err())
	case len(missing) > 0:
		h.log.Warn("essential apps have no worker: their commands are refused", "apps", missing, "waited", waited)
	default:
		h.log.Info("workers of essential apps found", "waited", waited)
	}
	return nil
}

// withoutWorker returns the enforced essential apps without a live worker.
func (h *Hooks) withoutWorker(ctx context.Context) (ids []string) {
	for _, k := range h.hooks() {
		id := k.manifest.ID
		if k.manifest.IsEnabled() && !k.manifest.IsPolicy() && k.enforcedEssential() && !slices.Contains(ids, id) && !k.hasWorker(ctx, h.cfg.Conn) {
			ids = append(ids, id)
		}
	}
	return ids
}

// hasWorker reports whether the app has a live worker. It checks in two ways: not every worker
// speaks the micro protocol, and the servers do not show every subscription, such as in another
// account. A failed lookup finds none.
func (k *hook) hasWorker(ctx context.Context, nc *nats.Conn) bool {
	if found, err := bus.HasQueue(ctx, nc, k.subject, subjects.AppQueue(k.manifest.ID)); err == nil && found {
		return true
	}
	workers, err := bus.PingFrom(ctx, nc, k.pingInbox(), k.manifest.ID)
	return err == nil && len(workers) > 0
}
