package appworker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/roombus/roombus/appworker/internal/preevent"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

// answerPreEvents subscribes to the pre-events of the app.
func (w *worker) answerPreEvents() (*bus.Service, error) {
	return preevent.Subscribe(w.stopping, preevent.Config{
		Conn: w.nc, Log: w.log, Manifest: w.app.Manifest, Metadata: w.is.Metadata(),
		Interfaces: slices.Collect(maps.Keys(w.app.asks)), Concurrency: w.cfg.Concurrency,
		ReplyPrefixes: w.cfg.ReplyPrefixes, PostStats: w.consumer.Stats, App: w,
	})
}

// Ask implements preevent.App.
func (w *worker) Ask(ctx context.Context, i room.Interface, event string, body []byte) ([]byte, error) {
	defer w.handlers.Begin(ctx, i, event)()
	verdict, err := w.app.Ask(ctx, w.rooms, i, body)
	var reply []byte
	if err == nil {
		reply, err = room.Encode(verdict)
	}
	if err != nil {
		if w.stopping.Err() != nil {
			err = Unavailable(fmt.Errorf("the worker is stopping: %w", err))
		}
		w.LogFailure(err, i, event)
		return nil, err
	}
	return reply, nil
}

// Unavailable implements preevent.App.
func (w *worker) Unavailable(err error) bool {
	var unavailable *UnavailableError
	return errors.As(err, &unavailable)
}
