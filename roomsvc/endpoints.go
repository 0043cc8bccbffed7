package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// serve answers one kind of request: it decodes, validates and does it.
type serve func(ctx context.Context, msg *nats.Msg) (any, error)

// endpoints are all kinds of requests.
func (s *Service) endpoints() []bus.Endpoint {
	svc, app := subjects.Room, subjects.App
	all := []bus.Endpoint{
		s.endpoint("create", svc(subjects.Create), s.command(room.EventCreate)),
		s.endpoint("delete", svc(subjects.Delete), s.command(room.EventDelete)),
		s.endpoint("join", svc(subjects.Join), s.command(room.EventUserJoin)),
		s.endpoint("leave", svc(subjects.Leave), s.command(room.EventUserLeave)),
		s.endpoint("get", svc(subjects.Get), query(s.getRoom)),
		s.endpoint("list", svc(subjects.List), query(s.listRooms)),
		s.endpoint("members", svc(subjects.Members), query(s.listMembers)),
		s.endpoint("app-register", app(subjects.Register), query(s.registerApp)),
		s.endpoint("app-list", app(subjects.List), query(s.listApps)),
		s.endpoint("app-info", app(subjects.Info), query(s.appInfo)),
		s.endpoint("app-enable", app(subjects.Enable), query(s.enableApp)),
		s.endpoint("app-disable", app(subjects.Disable), query(s.disableApp)),
		s.endpoint("app-shadow", app(subjects.Shadow), query(s.shadowApp)),
		s.endpoint("app-rollback", app(subjects.Rollback), query(s.rollbackApp)),
		s.endpoint("app-remove", app(subjects.Remove), query(s.removeApp)),
		everybody(s.endpoint("app-replica", app(subjects.Replica), query(s.reportReplica))),
	}
	for _, e := range room.EventTypes() {
		all = append(all, s.endpoint("handover-"+e.Command(), subjects.Handover(s.id, e), s.handedOver(e)))
	}
	return all
}

// endpoint gives a request its time, and takes note of how it ended.
func (s *Service) endpoint(name, subject string, do serve) bus.Endpoint {
	errs := s.errors.of(name)
	return bus.Endpoint{
		Name: name, Subject: subject, Queue: subjects.ServiceQueue,
		Serve: func(msg *nats.Msg, came time.Time) ([]byte, error) {
			ctx, cancel := context.WithDeadline(s.ctx, came.Add(min(subjects.TimeLeft(msg.Header, s.cfg.Budget), s.cfg.Budget)))
			defer cancel()
			result, err := do(ctx, msg)
			if err != nil {
				e := coded(err)
				errs.count(e)
				return nil, e
			}
			return json.Marshal(result)
		},
	}
}

// everybody makes every replica answer, not one of them, whatever else it has to do.
func everybody(e bus.Endpoint) bus.Endpoint {
	e.Queue, e.Always = "", true
	return e
}

// command serves the commands that make events of type e.
func (s *Service) command(e room.EventType) serve {
	return func(ctx context.Context, msg *nats.Msg) (any, error) {
		c, err := s.decode(e, msg)
		if err != nil {
			return nil, err
		}
		for {
			if result, done, err := s.handOver(ctx, c, msg); done {
				return result, err
			}
			result, err := s.handle(ctx, c, true)
			if !errors.Is(err, errElsewhere) {
				return result, err
			}
		}
	}
}

// handedOver serves commands that another service has got. It hands none over itself: the two
// might not agree.
func (s *Service) handedOver(e room.EventType) serve {
	return func(ctx context.Context, msg *nats.Msg) (any, error) {
		c, err := s.decode(e, msg)
		if err != nil {
			return nil, err
		}
		return s.handle(ctx, c, false)
	}
}

func (s *Service) decode(e room.EventType, msg *nats.Msg) (room.Command, error) {
	id := commandID(msg)
	if err := room.ValidateToken(subjects.CommandID, id); err != nil {
		return room.Command{}, err
	}
	r, err := room.DecodeRequest(e, id, msg.Data)
	return room.Command{
		ID:          id,
		Time:        time.Now().UTC().Truncate(time.Microsecond),
		TraceParent: bus.TraceParent(msg.Header, id),
		MaxBytes:    s.maxBody(),
		Bytes:       len(msg.Data),
		Request:     r,
	}, err
}

// headroom is what a message keeps for headers and for what apps say beside the body proper.
const headroom = 64 << 10

// maxBody is what the body of an event may take.
func (s *Service) maxBody() int {
	most := int(s.nc.MaxPayload())
	return most - min(headroom, most/8)
}

// query serves requests of type R with a function. An empty body is an empty request.
func query[R interface{ Validate() error }](do func(context.Context, R) (any, error)) serve {
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

// commandID is the id that came with the request, or a new one.
func commandID(msg *nats.Msg) string {
	if id := msg.Header.Get(subjects.CommandID); id != "" {
		return id
	}
	return uuid.Must(uuid.NewV7()).String()
}

// coded is the error as it goes over the wire.
func coded(err error) *room.Error {
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

// refuse is the one place where an error becomes a message: the code and what there is to say
// in the body, and in the headers that the micro protocol has for it.
func refuse(_ string, err error) *nats.Msg {
	e := coded(err)
	body, err := json.Marshal(e)
	if err != nil {
		body = fmt.Appendf(nil, `{"code":%q,"message":"the error cannot be written"}`, e.Code)
	}
	return bus.Failure(e.Code.Status(), e.Error(), body)
}
