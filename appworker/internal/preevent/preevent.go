package preevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// App is the app of the worker. Its methods are called concurrently.
type App interface {
	// Ask runs the handler of a pre-event, of an interface of Config.Interfaces, and returns the encoded
	// verdict. It logs an error.
	Ask(ctx context.Context, i room.Interface, event string, body []byte) ([]byte, error)
	// Unavailable reports whether Ask returned the error because another worker should decide.
	Unavailable(err error) bool
	// LogFailure logs why an event has no verdict.
	LogFailure(err error, i room.Interface, event string)
}

// Config configures Subscribe. All fields but Metadata and ReplyPrefixes are required.
type Config struct {
	// Conn is the connection to NATS. The caller closes it.
	Conn *nats.Conn
	// Log is the worker's logger.
	Log *slog.Logger
	// Manifest is the app's manifest.
	Manifest room.Manifest
	// Metadata describes the worker over the micro protocol.
	Metadata map[string]string
	// Interfaces are the pre-interfaces that the app implements.
	Interfaces []room.Interface
	// Concurrency bounds the number of concurrent handlers.
	Concurrency int
	// ReplyPrefixes are the inbox prefixes of room services that the worker replies to, in addition to _INBOX
	// and the prefix of Conn.
	ReplyPrefixes []string
	// PostStats returns the statistics of post-events, which are reported with those of pre-events.
	PostStats func() []*micro.EndpointStats
	// App runs the handlers.
	App App
}

// answerer answers the pre-events of one worker.
type answerer struct {
	cfg      Config
	stopping context.Context // ends when handlers must end
	slots    chan struct{}
	inFlight inFlight
}

// Subscribe subscribes in the app's queue group for every pre-interface that the app implements, and to the
// retry subjects. If the connection is up, the server has the subscriptions when it returns. The contexts of
// handlers end with stopping. Stop of the returned service waits for running handlers.
func Subscribe(stopping context.Context, cfg Config) (*bus.Service, error) {
	a := &answerer{cfg: cfg, stopping: stopping, slots: make(chan struct{}, cfg.Concurrency)}
	m := cfg.Manifest
	var endpoints []bus.Endpoint
	for _, i := range cfg.Interfaces {
		endpoints = append(endpoints, bus.Endpoint{
			Name: i.Token(), Subject: subjects.Pre(i, m.ID), Queue: subjects.AppQueue(m.ID),
			Serve: serve(a.answer, i),
		}, bus.Endpoint{
			Name: i.Token() + "-retry", Subject: subjects.PreRetry(i, m.ID),
			Serve: serve(a.answerRetry, i),
		})
	}
	service, err := bus.NewService(bus.NewBatcher(cfg.Conn), bus.ServiceConfig{
		Name: m.ID, Version: m.Version, Description: m.Description, Metadata: cfg.Metadata,
		ReplyPrefixes: cfg.ReplyPrefixes, Refuse: a.failure, Logger: cfg.Log,
		Beside: cfg.PostStats,
	}, endpoints...)
	if err != nil {
		return nil, err
	}
	if !cfg.Conn.IsConnected() {
		return service, nil // the client library subscribes when it connects
	}
	if err := cfg.Conn.Flush(); err != nil {
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
func (a *answerer) answer(i room.Interface, msg *nats.Msg, received time.Time) ([]byte, error) {
	defer a.inFlight.add(keyOf(i, msg))()
	ctx, cancel := a.handlerContext(msg, received)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		err := errors.New("no handler was free in time")
		a.cfg.App.LogFailure(err, i, msg.Header.Get(subjects.ID))
		return nil, err
	}
	return a.ask(ctx, i, msg)
}

// answerRetry answers a pre-event that another worker of the app has not answered yet. All workers
// receive a retry, so that it cannot reach only the worker that hangs. A worker does not reply if it
// already decides the event, or if all its handler slots are taken.
func (a *answerer) answerRetry(i room.Interface, msg *nats.Msg, received time.Time) ([]byte, error) {
	if a.inFlight.has(keyOf(i, msg)) {
		return nil, bus.ErrNoReply
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		return nil, bus.ErrNoReply
	}
	defer a.inFlight.add(keyOf(i, msg))()
	ctx, cancel := a.handlerContext(msg, received)
	defer cancel()
	return a.ask(ctx, i, msg)
}

// handlerContext returns the context of a pre-event's handler. It ends at the event's deadline. Commands
// sent with it have the command of the pre-event as their cause.
func (a *answerer) handlerContext(msg *nats.Msg, received time.Time) (context.Context, context.CancelFunc) {
	ctx := roomclient.WithCause(a.stopping, subjects.CausesOfReaction(msg.Header)...)
	return context.WithDeadline(ctx, received.Add(subjects.TimeLeft(msg.Header, room.DefaultTimeoutMs*time.Millisecond)))
}

// ask runs the handler of a pre-event.
func (a *answerer) ask(ctx context.Context, i room.Interface, msg *nats.Msg) ([]byte, error) {
	return a.cfg.App.Ask(ctx, i, msg.Header.Get(subjects.ID), msg.Data)
}

// failure returns the reply to the room service if there is no verdict.
func (a *answerer) failure(_ string, err error) *nats.Msg {
	code := 500
	switch {
	case a.cfg.App.Unavailable(err):
		code = 503
	case errors.Is(err, context.DeadlineExceeded):
		code = 504
	}
	return bus.Failure(code, fmt.Sprintf("%.*s", room.MaxReasonBytes, err), nil) // the room service keeps no more, and a longer header may not fit
}
