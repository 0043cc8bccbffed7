package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/appstate"
	"github.com/roombus/roombus/roomsvc/health"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/roomsvc/registry"
	"github.com/roombus/roombus/subjects"
)

// serve decodes, validates and executes a request.
type serve func(ctx context.Context, msg *nats.Msg) (any, error)

// endpoints decodes the requests of the service, has them executed and makes the replies.
type endpoints struct {
	cfg        Config
	ctx        context.Context // ends with the service
	commands   *commands
	apps       *appstate.Apps
	registry   *registry.Registry
	params     *registry.Params
	projection *projection.Projection
	health     *health.Health
	errors     errorCounts
}

// newEndpoints returns the endpoints of this service, once it has commands.
func (s *Service) newEndpoints() *endpoints {
	return &endpoints{
		cfg: s.cfg, ctx: s.ctx, commands: s.commands, registry: s.registry, projection: s.projection, health: s.health,
		params: registry.NewParams(s.registry),
		apps:   appstate.New(appstate.Config{Conn: s.nc, JetStream: s.js, Events: s.streams.Events(), Registry: s.registry, Hooks: s.hooks}),
	}
}

// list lists all endpoints. Their names and subjects need only cfg.
func (es *endpoints) list() []bus.Endpoint {
	svc, app, param := subjects.Room, subjects.App, subjects.Param
	command := es.commands.command
	all := []bus.Endpoint{
		es.ordered("create", svc(subjects.Create), command(room.EventCreate, true)),
		es.ordered("update", svc(subjects.Update), command(room.EventUpdate, true)),
		es.ordered("delete", svc(subjects.Delete), command(room.EventDelete, true)),
		es.ordered("join", svc(subjects.Join), command(room.EventUserJoin, true)),
		es.ordered("leave", svc(subjects.Leave), command(room.EventUserLeave, true)),
		es.ordered("updatemember", svc(subjects.UpdateMember), command(room.EventUserUpdate, true)),
		es.endpoint("get", svc(subjects.Get), es.fresh(query(es.getRoom))),
		es.endpoint("list", svc(subjects.List), es.fresh(query(es.listRooms))),
		es.endpoint("members", svc(subjects.Members), es.fresh(query(es.listMembers))),
		es.endpoint("app-register", app(subjects.Register), es.register),
		es.endpoint("app-register-own", subjects.OfApp(subjects.Register, "*"), es.register),
		es.endpoint("app-list", app(subjects.List), query(es.apps.List)),
		es.endpoint("app-info", app(subjects.Info), query(es.apps.Info)),
		es.endpoint("app-info-own", subjects.OfApp(subjects.Info, "*"), es.info),
		es.endpoint("app-enable", app(subjects.Enable), query(es.registry.Enable)),
		es.endpoint("app-disable", app(subjects.Disable), query(es.registry.Disable)),
		es.endpoint("app-shadow", app(subjects.Shadow), query(es.registry.Shadow)),
		es.endpoint("app-rollback", app(subjects.Rollback), query(es.registry.RollBack)),
		es.endpoint("app-remove", app(subjects.Remove), query(es.registry.Remove)),
		es.endpoint("param-put", param(subjects.Put), query(es.params.Put)),
		es.endpoint("param-get", param(subjects.Get), query(es.params.Get)),
		es.endpoint("param-list", param(subjects.List), query(es.params.List)),
		es.endpoint("param-remove", param(subjects.Remove), query(es.params.Remove)),
		everyReplica(es.endpoint("app-replica", app(subjects.Replica), query(es.apps.Report))),
	}
	for _, e := range room.EventTypes() {
		all = append(all, es.ordered("handover-"+e.Command(), subjects.Handover(es.cfg.ID, e), command(e, false)))
	}
	return all
}

// endpoint serves requests in any order.
func (es *endpoints) endpoint(name, subject string, do serve) bus.Endpoint {
	return es.ordered(name, subject, func(*nats.Msg) serve { return do })
}

// ordered calls arrive for each request in the order of arrival. It applies the deadline of the
// request and counts errors.
func (es *endpoints) ordered(name, subject string, arrive func(*nats.Msg) serve) bus.Endpoint {
	errs := es.errors.of(name)
	return bus.Endpoint{
		Name: name, Subject: subject, Queue: subjects.ServiceQueue,
		Arrive: func(msg *nats.Msg, came time.Time) bus.Serving {
			deadline, late := es.deadline(msg.Header, came)
			if late != nil {
				return func() ([]byte, nats.Header, error) {
					errs.count(coded(late))
					return nil, nil, late
				}
			}
			do := arrive(msg)
			return func() ([]byte, nats.Header, error) {
				ctx, cancel := context.WithDeadline(es.ctx, deadline)
				defer cancel()
				result, err := do(ctx, msg)
				if err != nil {
					if errors.Is(err, jetstream.ErrStreamNotFound) {
						err = errors.Join(es.health.StreamError(), err)
					}
					errs.count(coded(err))
					return nil, nil, err // refuse makes the reply
				}
				data, err := encode(result)
				return data, es.seqHeader(result), err
			}
		},
	}
}

// encode encodes the result of a request.
func encode(result any) ([]byte, error) {
	switch r := result.(type) {
	case body:
		return r, nil
	case room.Result:
		return r.JSON()
	}
	return json.Marshal(result)
}

// everyReplica makes every replica answer instead of one of them, also while the service is
// overloaded.
func everyReplica(e bus.Endpoint) bus.Endpoint {
	e.Queue, e.Always = "", true
	return e
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
func (es *endpoints) refuse(_ string, err error) *nats.Msg {
	e := coded(err)
	body, unwritable := json.Marshal(e)
	if unwritable != nil {
		body = fmt.Appendf(nil, `{"code":%q,"message":"the error cannot be written"}`, e.Code)
	}
	msg := bus.Failure(e.Code.Status(), e.Error(), body)
	maps.Copy(msg.Header, es.seqHeader(err))
	if e.Code == room.CodeDeadlineExceeded {
		subjects.SetTime(msg.Header, subjects.Clock, time.Now())
	}
	return msg
}
