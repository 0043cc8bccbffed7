package appworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// answerPreEvents takes this worker's place in the queue group of the app, for every
// pre-interface that it implements. The server knows when it returns.
func (w *worker) answerPreEvents() (*bus.Service, error) {
	m := w.app.Manifest
	var endpoints []bus.Endpoint
	for i := range w.app.asks {
		endpoints = append(endpoints, bus.Endpoint{
			Name: i.Token(), Subject: subjects.Pre(i, m.ID), Queue: subjects.AppQueue(m.ID),
			Serve: func(msg *nats.Msg, came time.Time) ([]byte, error) { return w.answer(i, msg, came) },
		})
	}
	service, err := bus.NewService(w.nc, bus.ServiceConfig{
		Name: m.ID, Version: m.Version, Description: m.Description,
		ReplyPrefixes: w.cfg.ReplyPrefixes, Refuse: failure, Logger: w.log,
	}, endpoints...)
	if err != nil {
		return nil, err
	}
	if !w.nc.IsConnected() {
		return service, nil // the server gets to know when it is there
	}
	if err := w.nc.Flush(); err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	return service, nil
}

// answer runs the handler of a pre-event, once one may run, in the time that is left.
func (w *worker) answer(i room.Interface, msg *nats.Msg, came time.Time) ([]byte, error) {
	ctx, cancel := context.WithDeadline(w.stopping, came.Add(subjects.TimeLeft(msg.Header, room.DefaultTimeoutMs*time.Millisecond)))
	defer cancel()
	select {
	case w.preSlots <- struct{}{}:
		defer func() { <-w.preSlots }()
	case <-ctx.Done():
		err := errors.New("no handler was free in time")
		w.logFailure(err, i, msg.Header.Get(subjects.ID))
		return nil, err
	}
	verdict, err := w.app.Ask(ctx, w.rooms, i, msg.Data)
	if err != nil {
		w.logFailure(err, i, msg.Header.Get(subjects.ID))
		return nil, err
	}
	return json.Marshal(verdict)
}

// failure is what the room service is told when there is no verdict.
func failure(_ string, err error) *nats.Msg { return bus.Failure(500, err.Error(), nil) }

func (w *worker) logFailure(err error, i room.Interface, event string) {
	attrs := []any{"interface", i, "event", event, "error", err}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.Stack))
	}
	w.log.Error("handler failed", attrs...)
}
