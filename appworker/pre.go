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

// answerPreEvents takes this worker's place in the queue group of the app, for every
// pre-interface that it implements, and listens to retries. The server knows when it returns.
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
		Beside: w.figures.stats,
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

// serve makes an endpoint's function: verdicts have no headers.
func serve(answer func(room.Interface, *nats.Msg, time.Time) ([]byte, error), i room.Interface) func(*nats.Msg, time.Time) ([]byte, nats.Header, error) {
	return func(msg *nats.Msg, came time.Time) ([]byte, nats.Header, error) {
		verdict, err := answer(i, msg, came)
		return verdict, nil, err
	}
}

// answer runs the handler of a pre-event, once one may run, in the time that is left.
func (w *worker) answer(i room.Interface, msg *nats.Msg, came time.Time) ([]byte, error) {
	defer w.inHand.take(keyOf(i, msg))()
	ctx, cancel := w.handling(msg, came)
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

// answerRetry is answer for a pre-event that one worker of the app has not answered yet. All
// of them get it, so that it does not depend on chance who is asked in its place: the one that
// has it leaves it at that, and so does one that has enough to do.
func (w *worker) answerRetry(i room.Interface, msg *nats.Msg, came time.Time) ([]byte, error) {
	if w.inHand.has(keyOf(i, msg)) {
		return nil, bus.ErrNoReply
	}
	select {
	case w.preSlots <- struct{}{}:
		defer func() { <-w.preSlots }()
	default:
		return nil, bus.ErrNoReply
	}
	defer w.inHand.take(keyOf(i, msg))()
	ctx, cancel := w.handling(msg, came)
	defer cancel()
	return w.ask(ctx, i, msg)
}

// handling is the context of a pre-event's handler: it ends with the handler's time, and its commands
// are caused by the command that the app is asked about.
func (w *worker) handling(msg *nats.Msg, came time.Time) (context.Context, context.CancelFunc) {
	ctx := roomclient.WithCause(w.stopping, subjects.CausesOfReaction(msg.Header)...)
	return context.WithDeadline(ctx, came.Add(subjects.TimeLeft(msg.Header, room.DefaultTimeoutMs*time.Millisecond)))
}

func (w *worker) ask(ctx context.Context, i room.Interface, msg *nats.Msg) ([]byte, error) {
	defer w.running.begin(ctx, i, msg.Header.Get(subjects.ID))()
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

// failure is what the room service is told when there is no verdict.
func failure(_ string, err error) *nats.Msg {
	code := 500
	var elsewhere *UnavailableError
	switch {
	case errors.As(err, &elsewhere):
		code = 503
	case errors.Is(err, context.DeadlineExceeded):
		code = 504
	}
	return bus.Failure(code, fmt.Sprintf("%.*s", room.MaxReasonBytes, err), nil) // more is not kept, and may not fit
}

func (w *worker) logFailure(err error, i room.Interface, event string) {
	attrs := []any{"interface", i, "event", event, "error", err}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", strings.Join(p.Trace, " <- ")) // one line, as the rest of the log
	}
	w.log.Error("handler failed", attrs...)
}
