package roomsvc

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

const (
	newWorkerLook = 250 * time.Millisecond // between two looks for new workers
	newWorkerWait = 500 * time.Millisecond // bounds a look: a worker that hangs may not answer it
)

// findNewWorkers has an essential app with an open breaker probed at once when a worker of it answers that was not
// there when the app began to fail, until the context ends. A worker of the SDK registers, which is news enough;
// this is for the others. Each new worker is worth one probe. A service looks only while an app fails.
func (s *Service) findNewWorkers(ctx context.Context) {
	known := make(map[string]instances)
	for sleep(ctx, newWorkerLook) {
		failing := s.apps.failing()
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
				if s.addNew(ctx, app, there) && looked {
					s.log.Info("a new worker of an app answers; the app is asked again", "app", app)
					s.apps.revive(app)
				}
			})
		}
		looks.Wait()
	}
}

// instances are workers by their micro ids.
type instances map[string]bool

// addNew adds the live workers of an app, and reports whether there is a new one.
func (s *Service) addNew(ctx context.Context, app string, to instances) (found bool) {
	ctx, cancel := context.WithTimeout(ctx, newWorkerWait)
	defer cancel()
	workers, _ := bus.Ping(ctx, s.nc, app) // a look that fails finds none
	for _, w := range workers {
		found = found || !to[w.ID]
		to[w.ID] = true
	}
	return found
}

// failing lists the apps that block commands or may soon, since they fail; true are those with an open breaker.
func (a *apps) failing() map[string]bool {
	all := make(map[string]bool)
	for _, k := range a.hooks() {
		if !k.manifest.IsEnabled() || !k.enforcedEssential() {
			continue
		}
		if state := k.breaker.state(); state != room.BreakerClosed || k.breaker.run.hasBegun() {
			all[k.manifest.ID] = all[k.manifest.ID] || state == room.BreakerOpen
		}
	}
	return all
}
