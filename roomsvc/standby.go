package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// standByLook is the interval between checks whether a lost stream is restored.
const standByLook = time.Second

// provisionOrStandBy provisions the streams. It stands by as long as one of them is lost.
func (s *Service) provisionOrStandBy(ctx context.Context) error {
	for {
		err := s.streams.Provision(ctx, s.open)
		var lost *streams.LostError
		if !errors.As(err, &lost) {
			if err == nil && (s.cfg.NewRegistry || s.cfg.NewEvents) {
				s.cfg.Logger.Warn("started with an option that gives up lost data; remove it before the next start",
					"new_registry", s.cfg.NewRegistry, "new_events", s.cfg.NewEvents)
			}
			return err
		}
		if err := s.standBy(ctx, lost); err != nil {
			return err
		}
	}
}

// standBy answers every request with the loss until it is restored, or returns an error when the
// context ends.
func (s *Service) standBy(ctx context.Context, lost *streams.LostError) error {
	var current atomic.Pointer[streams.LostError]
	defer s.health.Lost(nil)
	report := func(e *streams.LostError) {
		s.cfg.Logger.Error("unavailable until the lost stream is restored", "stream", e.Stream, "lost", e.Why, "remedy", e.Remedy)
		current.Store(e)
		s.health.Lost(e)
		s.health.Report()
	}
	current.Store(lost)
	s.health.Lost(lost)
	// Replicas ask each other about the apps. This replica knows none, and does not answer.
	endpoints := slices.DeleteFunc((&endpoints{cfg: s.cfg}).list(), func(e bus.Endpoint) bool { return e.Always })
	for n := range endpoints {
		endpoints[n].Arrive = nil
		endpoints[n].Serve = func(*nats.Msg, time.Time) ([]byte, nats.Header, error) { return nil, nil, current.Load() }
	}
	service, err := bus.NewService(s.out, bus.ServiceConfig{
		Name: subjects.Service, ID: s.cfg.ID, Version: Version, Metadata: s.cfg.Metadata,
		Description:   "roombus room service, unavailable: " + lost.Why,
		MaxInFlight:   s.cfg.MaxInFlight,
		ReplyPrefixes: s.cfg.ReplyPrefixes,
		Refuse:        func(string, error) *nats.Msg { return lostFailure(current.Load()) },
		Data:          func(string) any { return s.health.Readiness(time.Now()) },
		Logger:        s.cfg.Logger,
	}, endpoints...)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.AckWait)
		defer cancel()
		_ = service.Stop(stopping) // every request ends at once
	}()
	_ = s.nc.FlushTimeout(s.cfg.AckWait) // without a connection the client subscribes when it is back
	report(lost)
	for bus.Sleep(ctx, standByLook) {
		err := s.streams.CheckLosses(ctx)
		var other *streams.LostError
		switch {
		case err == nil:
			s.cfg.Logger.Info("lost stream restored; starting", "stream", current.Load().Stream)
			return nil
		case errors.As(err, &other) && *other != *current.Load():
			report(other)
		}
	}
	return fmt.Errorf("%w (%w)", ctx.Err(), lostCoded(current.Load()))
}

// lostCoded returns the loss as the error of a command.
func lostCoded(lost *streams.LostError) *room.Error {
	return room.Errorf(room.CodeUnavailable, "%s", lost.Error())
}

// lostFailure is the reply to a request while the service stands by.
func lostFailure(lost *streams.LostError) *nats.Msg {
	e := lostCoded(lost)
	body, _ := json.Marshal(e) // an error with only text does not fail
	return bus.Failure(e.Code.Status(), e.Error(), body)
}
