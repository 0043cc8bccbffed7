package appworker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

// drainLogEvery is how often a stopping worker logs the handlers that it waits for.
const drainLogEvery = 3 * time.Second

// drain waits for the handlers of pre-events and of post-events concurrently, at most for DrainTimeout.
// The error lists the handlers that did not end in time.
func (w *worker) drain(service *bus.Service) error {
	ctx, cancel := context.WithTimeout(w.stopping, w.cfg.DrainTimeout)
	defer cancel()
	var pre, post error
	var both sync.WaitGroup
	both.Go(func() { pre = w.finishPreEvents(ctx, service) })
	both.Go(func() { post = w.finishPostEvents(ctx) })
	finished := make(chan struct{})
	go func() {
		both.Wait()
		close(finished)
	}()
	w.logWaiting(finished)
	return errors.Join(pre, post)
}

// logWaiting logs the running handlers until finished is closed.
func (w *worker) logWaiting(finished <-chan struct{}) {
	began := time.Now()
	tick := time.NewTicker(drainLogEvery)
	defer tick.Stop()
	for {
		if handlers := w.handlers.Describe(room.Interface.Known); handlers != "" {
			w.log.Info("stopping: waiting for handlers", "running", handlers,
				"waited", time.Since(began).Round(time.Second), "at_most", w.cfg.DrainTimeout)
		}
		select {
		case <-finished:
			return
		case <-tick.C:
		}
	}
}

func (w *worker) finishPreEvents(ctx context.Context, service *bus.Service) error {
	err := service.Stop(ctx)
	if handlers := w.handlers.Describe(room.Interface.Pre); err != nil && handlers != "" {
		return w.unfinished("pre-event", handlers)
	}
	return err
}

func (w *worker) finishPostEvents(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		w.consumer.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		if handlers := w.handlers.Describe(isPost); handlers != "" {
			return w.unfinished("post-event", handlers)
		}
		return fmt.Errorf("post-events were still being acknowledged after %s", w.cfg.DrainTimeout)
	}
	if !w.nc.IsConnected() {
		return nil
	}
	return w.nc.FlushWithContext(ctx)
}

func isPost(i room.Interface) bool { return !i.Pre() }

func (w *worker) unfinished(kind, handlers string) error {
	return fmt.Errorf("%s handlers were still running after %s: %s", kind, w.cfg.DrainTimeout, handlers)
}
