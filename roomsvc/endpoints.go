package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// endpoint serves one kind of request: it decodes, validates and does it.
type endpoint func(ctx context.Context, id string, req micro.Request) (any, error)

// addEndpoints starts serving requests.
func (s *Service) addEndpoints() error {
	svc := s.micro.AddGroup(subjects.ServiceGroup)
	app := s.micro.AddGroup(subjects.AppGroup)
	for _, e := range []struct {
		group   micro.Group
		name    string
		subject string
		serve   endpoint
	}{
		{svc, "create", subjects.Create, s.command(room.EventCreate)},
		{svc, "delete", subjects.Delete, s.command(room.EventDelete)},
		{svc, "join", subjects.Join, s.command(room.EventUserJoin)},
		{svc, "leave", subjects.Leave, s.command(room.EventUserLeave)},
		{svc, "get", subjects.Get, query(s.getRoom)},
		{svc, "list", subjects.List, query(s.listRooms)},
		{svc, "members", subjects.Members, query(s.listMembers)},
		{app, "app-register", subjects.Register, query(s.registerApp)},
		{app, "app-list", subjects.List, query(s.listApps)},
		{app, "app-info", subjects.Info, query(s.appInfo)},
	} {
		err := e.group.AddEndpoint(e.name, s.admitted(s.stats.of(e.name), e.serve),
			micro.WithEndpointSubject(e.subject),
			micro.WithEndpointMetadata(map[string]string{})) // the nats CLI cannot read a null
		if err != nil {
			return fmt.Errorf("adding endpoint %s: %w", e.name, err)
		}
	}
	return nil
}

// command serves the commands that make events of type e.
func (s *Service) command(e room.EventType) endpoint {
	return func(ctx context.Context, id string, req micro.Request) (any, error) {
		if err := room.ValidateToken(subjects.CommandID, id); err != nil {
			return nil, err
		}
		r, err := room.DecodeRequest(e, id, req.Data())
		if err != nil {
			return nil, err
		}
		return s.handle(ctx, room.Command{
			ID:          id,
			Time:        time.Now().UTC().Truncate(time.Microsecond),
			TraceParent: bus.TraceParent(nats.Header(req.Headers()), id),
			MaxBytes:    int(s.nc.MaxPayload()) / 8 * 7, // an eighth is for headers and outcomes
			Request:     r,
		})
	}
}

// query serves requests of type R with a function. An empty body is an empty request.
func query[R interface{ Validate() error }](do func(context.Context, R) (any, error)) endpoint {
	return func(ctx context.Context, _ string, req micro.Request) (any, error) {
		var r R
		if len(req.Data()) > 0 {
			if err := room.Decode(req.Data(), &r); err != nil {
				return nil, err
			}
		}
		if err := r.Validate(); err != nil {
			return nil, err
		}
		return do(ctx, r)
	}
}

// admitted runs the endpoint beside the callback that brought the request, so that the next
// one is not kept waiting. What is over the bound is refused at once.
func (s *Service) admitted(stats *endpointStats, serve endpoint) micro.HandlerFunc {
	return func(req micro.Request) {
		if reply := req.Reply(); reply != "" && !subjects.IsInbox(reply, s.cfg.ReplyPrefixes...) {
			stats.refusedReply()
			s.log.Warn("refused a request whose answer would not go to an inbox", "subject", req.Subject(), "reply", reply)
			return
		}
		select {
		case s.admission <- struct{}{}:
		default:
			err := room.Errorf(room.CodeOverloaded, "%d requests are in progress; try again later", cap(s.admission))
			stats.done(0, err)
			s.respond(req, nil, err)
			return
		}
		s.inFlight.Add(1)
		go func() {
			defer s.inFlight.Done()
			defer func() { <-s.admission }()
			ctx, cancel := context.WithTimeout(s.ctx, s.budget(req))
			defer cancel()
			start := time.Now()
			data, err := serve(ctx, commandID(req), req)
			stats.done(time.Since(start), err)
			s.respond(req, data, err)
		}()
	}
}

// commandID is the id that came with the request, or a new one.
func commandID(req micro.Request) string {
	if id := req.Headers().Get(subjects.CommandID); id != "" {
		return id
	}
	return uuid.Must(uuid.NewV7()).String()
}

// budget is the time that the sender gives the request, within the service's own bound.
func (s *Service) budget(req micro.Request) time.Duration {
	ms, err := strconv.ParseInt(req.Headers().Get(subjects.TimeoutMs), 10, 32)
	if err != nil || ms <= 0 {
		return s.cfg.Budget
	}
	return min(time.Duration(ms)*time.Millisecond, s.cfg.Budget)
}

// respond answers with the data, or with the error in the body and in the headers that the
// micro protocol has for it.
func (s *Service) respond(req micro.Request, data any, err error) {
	if req.Reply() == "" {
		return
	}
	msg := &nats.Msg{Subject: req.Reply()}
	if err == nil {
		msg.Data, err = json.Marshal(data)
	}
	if err != nil {
		msg = s.errorMsg(req, err)
	}
	err = s.nc.PublishMsg(msg)
	if errors.Is(err, nats.ErrMaxPayload) {
		err = s.nc.PublishMsg(s.errorMsg(req, room.Errorf(room.CodeTooLarge, "the answer is larger than a message may be: %v", err)))
	}
	if err != nil {
		s.log.Warn("cannot answer", "subject", req.Subject(), "error", err)
	}
}

// errorMsg is the one place where an error becomes what goes over the wire.
func (s *Service) errorMsg(req micro.Request, err error) *nats.Msg {
	var e *room.Error
	if !errors.As(err, &e) {
		s.log.Error("a request failed without a code", "subject", req.Subject(), "error", err)
		e = room.Errorf(room.CodeUnavailable, "%v", err)
	}
	body, _ := json.Marshal(e) // strings and numbers
	return &nats.Msg{
		Subject: req.Reply(),
		Header: nats.Header{
			micro.ErrorCodeHeader: {strconv.Itoa(e.Code.Status())},
			micro.ErrorHeader:     {oneLine(e.Error())},
		},
		Data: body,
	}
}
