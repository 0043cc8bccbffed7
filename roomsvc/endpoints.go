package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/appstate"
	"github.com/roombus/roombus/subjects"
)

// serve decodes, validates and executes a request.
type serve func(ctx context.Context, msg *nats.Msg) (any, error)

// endpoints lists all endpoints of the service.
func (s *Service) endpoints() []bus.Endpoint {
	svc, app := subjects.Room, subjects.App
	apps := appstate.New(appstate.Config{Conn: s.nc, JetStream: s.js, Events: s.streams.Events(), Registry: s.registry, Hooks: s.hooks})
	all := []bus.Endpoint{
		s.ordered("create", svc(subjects.Create), s.command(room.EventCreate, true)),
		s.ordered("update", svc(subjects.Update), s.command(room.EventUpdate, true)),
		s.ordered("delete", svc(subjects.Delete), s.command(room.EventDelete, true)),
		s.ordered("join", svc(subjects.Join), s.command(room.EventUserJoin, true)),
		s.ordered("leave", svc(subjects.Leave), s.command(room.EventUserLeave, true)),
		s.ordered("updatemember", svc(subjects.UpdateMember), s.command(room.EventUserUpdate, true)),
		s.endpoint("get", svc(subjects.Get), s.fresh(query(s.getRoom))),
		s.endpoint("list", svc(subjects.List), s.fresh(query(s.listRooms))),
		s.endpoint("members", svc(subjects.Members), s.fresh(query(s.listMembers))),
		s.endpoint("app-register", app(subjects.Register), query(s.registry.Register)),
		s.endpoint("app-list", app(subjects.List), query(apps.List)),
		s.endpoint("app-info", app(subjects.Info), query(apps.Info)),
		s.endpoint("app-enable", app(subjects.Enable), query(s.registry.Enable)),
		s.endpoint("app-disable", app(subjects.Disable), query(s.registry.Disable)),
		s.endpoint("app-shadow", app(subjects.Shadow), query(s.registry.Shadow)),
		s.endpoint("app-rollback", app(subjects.Rollback), query(s.registry.RollBack)),
		s.endpoint("app-remove", app(subjects.Remove), query(s.registry.Remove)),
		everyReplica(s.endpoint("app-replica", app(subjects.Replica), query(apps.Report))),
	}
	for _, e := range room.EventTypes() {
		all = append(all, s.ordered("handover-"+e.Command(), subjects.Handover(s.id, e), s.command(e, false)))
	}
	return all
}

// endpoint serves requests in any order.
func (s *Service) endpoint(name, subject string, do serve) bus.Endpoint {
	return s.ordered(name, subject, func(*nats.Msg) serve { return do })
}

// ordered calls arrive for each request in the order of arrival. It applies the deadline of the
// request and counts errors.
func (s *Service) ordered(name, subject string, arrive func(*nats.Msg) serve) bus.Endpoint {
	errs := s.errors.of(name)
	return bus.Endpoint{
		Name: name, Subject: subject, Queue: subjects.ServiceQueue,
		Arrive: func(msg *nats.Msg, came time.Time) bus.Serving {
			deadline, late := s.deadline(msg.Header, came)
			if late != nil {
				return func() ([]byte, nats.Header, error) {
					errs.count(coded(late))
					return nil, nil, late
				}
			}
			do := arrive(msg)
			return func() ([]byte, nats.Header, error) {
				ctx, cancel := context.WithDeadline(s.ctx, deadline)
				defer cancel()
				result, err := do(ctx, msg)
				if err != nil {
					if errors.Is(err, jetstream.ErrStreamNotFound) {
						err = errors.Join(s.health.StreamError(), err)
					}
					errs.count(coded(err))
					return nil, nil, err // refuse makes the reply
				}
				data, err := json.Marshal(result)
				return data, s.seqHeader(result), err
			}
		},
	}
}

// everyReplica makes every replica answer instead of one of them, also while the service is
// overloaded.
func everyReplica(e bus.Endpoint) bus.Endpoint {
	e.Queue, e.Always = "", true
	return e
}

func (s *Service) decode(e room.EventType, msg *nats.Msg) (rules.Command, error) {
	id := commandID(msg)
	if err := room.ValidateToken(subjects.CommandID, id); err != nil {
		return rules.Command{}, err
	}
	causes, err := subjects.Causes(msg.Header)
	if err == nil {
		err = room.ValidateCauses(id, causes)
	}
	if err != nil {
		return rules.Command{}, err
	}
	r, err := room.DecodeRequest(e, id, msg.Data)
	return rules.Command{
		ID:          id,
		Time:        now(),
		TraceParent: bus.TraceParent(msg.Header, id),
		Bounds:      eventBounds(int(s.nc.MaxPayload())),
		Bytes:       len(msg.Data),
		CausedBy:    causes,
		Request:     r,
	}, err
}

// Parts of a message that the body of an event must leave free: for headers, and for headers with
// the answers of apps.
const (
	leastForHeaders = 2 << 10
	mostForHeaders  = 8 << 10
	headroom        = 64 << 10
)

// eventBounds returns the bounds of the body of an event for a maximum payload.
func eventBounds(maxPayload int) rules.Bounds {
	headers := max(leastForHeaders, min(mostForHeaders, maxPayload/16))
	return rules.Bounds{
		MaxBytes: max(1, maxPayload-max(headers, min(headroom, maxPayload/8))),
		MaxWhole: max(1, maxPayload-headers),
	}
}

// query serves requests of type R with a function. An empty body is an empty request.
func query[R interface{ Validate() error }, A any](do func(context.Context, R) (A, error)) serve {
	return func(ctx context.Context, msg *nats.Msg) (any, error) {
		var r R
		if len(msg.Data) > 0 {
			if err := room.Decode(msg.Data, &r); err != nil {
				return nil, err
			}
		}
		if err := r.Validate(); err != nil {
			return nil, err
		}
		return do(ctx, r)
	}
}

// commandID returns the id in the request, or a new one.
func commandID(msg *nats.Msg) string {
	if id := msg.Header.Get(subjects.CommandID); id != "" {
		return id
	}
	return uuid.Must(uuid.NewV7()).String()
}

// coded returns the error in its wire form.
func coded(err error) *room.Error {
	e := withCode(err)
	var of *commandError
	if !errors.As(err, &of) {
		return e
	}
	named := *e // other commands may share the error
	named.CommandID = of.id
	return &named
}

func withCode(err error) *room.Error {
	var e *room.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, bus.ErrOverloaded):
		return room.Errorf(room.CodeOverloaded, "%v; try again later", err)
	case errors.Is(err, bus.ErrTooLarge):
		return room.Errorf(room.CodeTooLarge, "%v", err)
	}
	return room.Errorf(room.CodeUnavailable, "%v", err)
}

// refuse turns an error into a reply: with code and details in the body, and in the headers of the
// micro protocol. No other function does.
func (s *Service) refuse(_ string, err error) *nats.Msg {
	e := coded(err)
	body, unwritable := json.Marshal(e)
	if unwritable != nil {
		body = fmt.Appendf(nil, `{"code":%q,"message":"the error cannot be written"}`, e.Code)
	}
	msg := bus.Failure(e.Code.Status(), e.Error(), body)
	maps.Copy(msg.Header, s.seqHeader(err))
	if e.Code == room.CodeDeadlineExceeded {
		subjects.SetTime(msg.Header, subjects.Clock, time.Now())
	}
	return msg
}
