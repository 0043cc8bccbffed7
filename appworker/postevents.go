package appworker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/roombus/roombus/appworker/internal/consumer"
	"github.com/roombus/roombus/room"
)

// newConsumer returns the consumer of the app's post-events.
func (w *worker) newConsumer() (*consumer.Consumer, error) {
	return consumer.New(consumer.Config{
		Conn: w.nc, Log: w.log, Manifest: w.app.Manifest, Interfaces: slices.Collect(maps.Keys(w.app.tells)),
		Concurrency: w.cfg.Concurrency, HandlerTimeout: w.cfg.HandlerTimeout, ReplyPrefixes: w.cfg.ReplyPrefixes, JSDomain: w.cfg.JSDomain, App: w,
	})
}

// Tell implements consumer.App.
func (w *worker) Tell(ctx context.Context, i room.Interface, body []byte, ref room.EventRef, attempt uint64) error {
	w.rooms.NotOlderThan(ref.Seq) // a read by the handler includes the event
	defer w.handlers.Begin(ctx, i, ref.ID)()
	return w.app.tell(ctx, w.rooms, i, body, ref, attempt)
}

// Discards implements consumer.App.
func (w *worker) Discards(err error) bool {
	var discarded *DiscardError
	return errors.As(err, &discarded)
}

// RetryAfter implements consumer.App.
func (w *worker) RetryAfter(err error) (time.Duration, bool) {
	var retry *RetryError
	if errors.As(err, &retry) {
		return retry.After, true
	}
	return 0, false
}

// Registered implements consumer.App.
func (w *worker) Registered(ctx context.Context) (room.Manifest, error) {
	app, err := w.rooms.App(ctx, w.app.Manifest.ID)
	return app.Manifest, err
}

// Restore implements consumer.App.
func (w *worker) Restore(ctx context.Context, removed bool) bool {
	if w.registrar.state(ctx) == registrationRemoved {
		if !removed {
			w.registrar.logRemoved()
		}
		return true
	}
	if err := w.registrar.register(ctx); err != nil && ctx.Err() == nil {
		w.log.Error("registration failed", "error", err)
	}
	return false
}

// LogFailure implements consumer.App and preevent.App.
func (w *worker) LogFailure(err error, i room.Interface, event string) {
	attrs := []any{"interface", i, "event", event, "error", err}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", strings.Join(p.Trace, " <- ")) // one line, as the rest of the log
	}
	w.log.Error("handler failed", attrs...)
}
