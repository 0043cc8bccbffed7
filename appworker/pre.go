package appworker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// answerPreEvents subscribes in the app's queue group for every pre-interface that the app implements,
// and to the retry subjects. If the connection is up, the server has the subscriptions when it returns.
func (w *worker) answerPreEvents() (*bus.Service, error) {
	m := w.app.Manifest
	var endpoints []bus.Endpoint
	for i := range w.app.asks {
		endpoints = append(endpoints, bus.Endpoint{
			Name: i.Token(), Subject: subjects.Pre(i, m.ID), Queue: subjects.AppQueue(m.ID),
			Serve: serve(w.answer, i),
		}, bus.Endpoint{
			Name: i.Token() + "-retry", Subject: subjects.PreRetry(i, m.ID),
			Serve: serve(w.answerRetry, i),
		})
	}
	service, err := bus.NewService(bus.NewBatcher(w.nc), bus.ServiceConfig{
		Name: m.ID, Version: m.Version, Description: m.Description, Metadata: w.is.Metadata(),
		ReplyPrefixes: w.cfg.ReplyPrefixes, Refuse: failure, Logger: w.log,
		Beside: w.stats.endpoints,
	}, endpoints...)
	if err != nil {
		return nil, err
	}
	if !w.nc.IsConnected() {
		return service, nil // the client library subscribes when it connects
	}
	if err := w.nc.Flush(); err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	return service, nil
}

// serve adapts answer to an endpoint: verdicts have no headers.
func serve(answer func(room.Interface, *nats.Msg, time.Time) ([]byte, error), i room.Interface) func(*nats.Msg, time.Time) ([]byte, nats.Header, error) {
	return func(msg *nats.Msg, received time.Time) ([]byte, nats.Header, error) {
		verdict, err := answer(i, msg, received)
		return verdict, nil, err
	}
}

// answer waits for a free handler slot and runs the handler of a pre-event, within the event's timeout.
func (w *worker) answer(i room.Interface, msg *nats.Msg, received time.Time) ([]byte, error) {
	defer w.inFlight.add(keyOf(i, msg))()
	ctx, cancel := w.handlerContext(msg, received)
	defer cancel()
	select {
	case w.preSlots <- struct{}{}:
		defer func() { <-w.preSlots }()
	case <-ctx.Done():
		err := errors.New("no handler was free in time")
		w.logFailure(err, i, msg.Header.Get(subjects.ID))
		return nil, err
	}
	return w.ask(ctx, i, msg)
}

// answerRetry answers a pre-event that another worker of the app has not answered yet. All workers
// receive a retry, so that it cannot reach only the worker that hangs. A worker does not reply if it
// already decides the event, or if all its handler slots are taken.
func (w *worker) answerRetry(i room.Interface, msg *nats.Msg, received time.Time) ([]byte, error) {
	if w.inFlight.has(keyOf(i, msg)) {
		return nil, bus.ErrNoReply
	}
	select {
	case w.preSlots <- struct{}{}:
		defer func() { <-w.preSlots }()
	default:
		return nil, bus.ErrNoReply
	}
	defer w.inFlight.add(keyOf(i, msg))()
	ctx, cancel := w.handlerContext(msg, received)
	defer cancel()
	return w.ask(ctx, i, msg)
}

// handlerContext returns the context of a pre-event's handler. It ends at the event's deadline. Commands
// sent with it have the command of the pre-event as their cause.
func (w *worker) handlerContext(msg *nats.Msg, received time.Time) (context.Context, context.CancelFunc) {
	ctx := roomclient.WithCause(w.stopping, subjects.CausesOfReaction(msg.Header)...)
	return context.WithDeadline(ctx, received.Add(subjects.TimeLeft(msg.Header, room.DefaultTimeoutMs*time.Millisecond)))
}

func (w *worker) ask(ctx context.Context, i room.Interface, msg *nats.Msg) ([]byte, error) {
	defer w.handlers.begin(ctx, i, msg.Header.Get(subjects.ID))()
	verdict, err := w.app.Ask(ctx, w.rooms, i, msg.Data)
	var reply []byte
	if err == nil {
		reply, err = room.Encode(verdict)
	}
	if err != nil {
		if w.stopping.Err() != nil {
			err = Unavailable(fmt.Errorf("the worker is stopping: %w", err))
		}
		w.logFailure(err, i, msg.Header.Get(subjects.ID))
		return nil, err
	}
	return reply, nil
}

// failure returns the reply to the room service if there is no verdict.
func failure(_ string, err error) *nats.Msg {
	code := 500
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &unavailable):
		code = 503
	case errors.Is(err, context.DeadlineExceeded):
		code = 504
	}
	return bus.Failure(code, fmt.Sprintf("%.*s", room.MaxReasonBytes, err), nil) // the room service keeps no more, and a longer header may not fit
}

func (w *worker) logFailure(err error, i room.Interface, event string) {
	attrs := []any{"interface", i, "event", event, "error", err}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", strings.Join(p.Trace, " <- ")) // one line, as the rest of the log
	}
	w.log.Error("handler failed", attrs...)
}
