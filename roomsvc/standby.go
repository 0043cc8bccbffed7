package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// standByLook is how often a service that stands by looks whether what was lost is restored.
const standByLook = time.Second

// provisionOrStandBy provisions the streams. As long as one of them is lost it stands by.
func (s *Service) provisionOrStandBy(ctx context.Context) error {
	for {
		err := s.provision(ctx)
		var lost *lostError
		if !errors.As(err, &lost) {
			if err == nil && (s.cfg.NewRegistry || s.cfg.NewEvents) {
				s.log.Warn("started with an option that gives up lost data; leave it out of the next start",
					"new_registry", s.cfg.NewRegistry, "new_events", s.cfg.NewEvents)
			}
			return err
		}
		if err := s.standBy(ctx, lost); err != nil {
			return err
		}
	}
}

// standBy answers every request with what is lost until it is restored. It returns an error if the context
// ends before.
func (s *Service) standBy(ctx context.Context, lost *lostError) error {
	current := &s.readiness.lost
	defer current.Store(nil)
	said := func(e *lostError) {
		s.log.Error("unavailable until what is lost is restored", "stream", e.stream, "lost", e.why, "remedy", e.remedy)
		current.Store(e)
		s.reportReadiness()
	}
	current.Store(lost)
	// Replicas ask each other what they know of the apps. This one knows nothing, and leaves that to the others.
	endpoints := slices.DeleteFunc(s.endpoints(), func(e bus.Endpoint) bool { return e.Always })
	for n := range endpoints {
		endpoints[n].Arrive = nil
		endpoints[n].Serve = func(*nats.Msg, time.Time) ([]byte, nats.Header, error) { return nil, nil, current.Load() }
	}
	service, err := bus.NewService(s.out, bus.ServiceConfig{
		Name: subjects.Service, ID: s.id, Version: Version, Metadata: s.cfg.Metadata,
		Description:   "roombus room service, unavailable: " + lost.why,
		MaxInFlight:   s.cfg.MaxInFlight,
		ReplyPrefixes: s.cfg.ReplyPrefixes,
		Refuse:        func(string, error) *nats.Msg { return lostFailure(current.Load()) },
		Data:          func(string) any { return s.isReady(time.Now()) },
		Logger:        s.log,
	}, endpoints...)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.AckWait)
		defer cancel()
		_ = service.Stop(stopping) // no request takes long
	}()
	_ = s.nc.FlushTimeout(s.cfg.AckWait) // a server that is away learns of the endpoints when it is back
	said(lost)
	for sleep(ctx, standByLook) {
		err := s.checkLosses(ctx)
		var other *lostError
		switch {
		case err == nil:
			s.log.Info("what was lost is restored; starting", "stream", current.Load().stream)
			return nil
		case errors.As(err, &other) && *other != *current.Load():
			said(other)
		}
	}
	return fmt.Errorf("%w (%w)", ctx.Err(), current.Load().coded())
}

// lostFailure is the reply to a request while the service stands by.
func lostFailure(lost *lostError) *nats.Msg {
	e := lost.coded()
	body, _ := json.Marshal(e) // text
	return bus.Failure(e.Code.Status(), e.Error(), body)
}
