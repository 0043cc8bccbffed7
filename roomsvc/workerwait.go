package roomsvc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// workerLook is the interval at which a starting service looks for workers.
const workerLook = 50 * time.Millisecond

// awaitWorkers waits for the workers of essential apps, up to Config.WorkerWait. After a restart of
// the whole system the service starts before the workers, and would refuse the first commands. It
// returns an error only if the context ends.
func (s *Service) awaitWorkers(ctx context.Context) error {
	if s.cfg.WorkerWait < 0 {
		return nil
	}
	began := time.Now()
	waiting, cancel := context.WithTimeout(ctx, s.cfg.WorkerWait)
	defer cancel()
	missing := s.withoutWorker(waiting)
	if len(missing) == 0 {
		return nil
	}
	s.log.Info("waiting for workers of essential apps", "apps", missing, "at_most", s.cfg.WorkerWait)
	for len(missing) > 0 && bus.Sleep(waiting, workerLook) {
		missing = s.withoutWorker(waiting)
	}
	waited := time.Since(began).Round(time.Millisecond)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("waiting for workers of essential apps: %w", ctx.Err())
	case len(missing) > 0:
		s.log.Info("essential apps have no worker: their commands are refused", "apps", missing, "waited", waited)
	default:
		s.log.Info("workers of essential apps found", "waited", waited)
	}
	return nil
}

// withoutWorker returns the enforced essential apps without a live worker.
func (s *Service) withoutWorker(ctx context.Context) (ids []string) {
	for _, k := range s.apps.hooks() {
		id := k.manifest.ID
		if k.manifest.IsEnabled() && k.enforcedEssential() && !slices.Contains(ids, id) && !s.hasWorker(ctx, k) {
			ids = append(ids, id)
		}
	}
	return ids
}

// hasWorker reports whether the app has a live worker. It checks in two ways: not every worker
// speaks the micro protocol, and the servers do not show every subscription, such as in another
// account. A failed lookup finds none.
func (s *Service) hasWorker(ctx context.Context, k *hook) bool {
	if found, err := bus.HasQueue(ctx, s.nc, k.subject, subjects.AppQueue(k.manifest.ID)); err == nil && found {
		return true
	}
	workers, err := bus.Ping(ctx, s.nc, k.manifest.ID)
	return err == nil && len(workers) > 0
}
