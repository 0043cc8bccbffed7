package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// roombus asks workers of the SDK as the room service does. The service runs because workers
// register with it. Its other work (the decision and the commit) is not measured.
type roombus struct{}

func (roombus) Name() string { return "roombus" }

func (r roombus) Start(ctx context.Context, apps int) (gather Gather, stop func(), err error) {
	var stops []func()
	stop = func() {
		for n := range stops {
			stops[len(stops)-1-n]()
		}
	}
	s, err := startServer(ctx)
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, s.stop)
	own, err := s.Connect() // the room service's connection, used by nothing else
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, own.Close)
	service, err := roomsvc.Start(ctx, own, roomsvc.Config{})
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, func() { _ = service.Stop(context.WithoutCancel(ctx)) }) // the snapshot that Stop writes is not kept
	workers, err := newProcesses(r.Name())
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, workers.stop)
	if _, err := workers.start(ctx, apps, s.URL()); err != nil {
		return nil, stop, err
	}
	requester, err := bus.NewRequester(bus.NewBatcher(s.nc))
	if err != nil {
		return nil, stop, err
	}
	return func(ctx context.Context, body []byte) ([]room.Verdict, error) {
		return r.ask(ctx, requester, apps, body)
	}, stop, nil
}

// ask does the same as the room service's gather when every app allows.
func (roombus) ask(ctx context.Context, requester *bus.Requester, apps int, body []byte) ([]room.Verdict, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	headers := subjects.PreHeaders(room.PreRoomUserJoined, id.String(), "lobby", bus.TraceParent(nil, id.String()), nil, time.Now())
	message := func(left time.Duration) *nats.Msg { return &nats.Msg{Header: headers(left), Data: body} }
	questions := make([]bus.Request, apps)
	for n := range questions {
		questions[n] = bus.Request{
			Subject: subjects.Pre(room.PreRoomUserJoined, appName(n)),
			Retry:   subjects.PreRetry(room.PreRoomUserJoined, appName(n)),
			Timeout: timeout,
			Message: message,
			Late:    func(*nats.Msg) {},
		}
	}
	asking := requester.Ask(questions)
	defer asking.Close()
	verdicts := make([]room.Verdict, 0, apps)
	for range apps {
		_, reply, ok := asking.Next(ctx)
		if !ok {
			return nil, ctx.Err()
		}
		if reply.Err != nil {
			return nil, reply.Err
		}
		if failure := reply.Msg.Header.Get("Nats-Service-Error"); failure != "" {
			return nil, errors.New(failure)
		}
		v, err := verdict(reply.Msg.Data)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
}

func (roombus) Serve(app, url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	warnings := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return appworker.Run(context.Background(),
		appworker.Config{Conn: nc, Logger: warnings, OnReady: func() { ready(url) }},
		appworker.Manifest{ID: app, Version: "1.0.0"},
		appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }})
}
