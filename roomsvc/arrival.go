package roomsvc

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/lanes"
)

// maxOrdered is the size in bytes up to which a request enters its lane on arrival. A larger
// request enters after it has been decoded, so that the requests behind it do not wait for that.
const maxOrdered = 4 << 10

// arrival is a command that has arrived, with its ticket, or the error that refuses it.
type arrival struct {
	c      rules.Command
	ticket *lanes.Ticket
	err    error
}

// command serves the commands that make events of type e. A command that was handed over to this
// service is not handed over again, since the two services may disagree.
func (s *Service) command(e room.EventType, mayHandOver bool) func(*nats.Msg) serve {
	return func(msg *nats.Msg) serve {
		if len(msg.Data) > maxOrdered {
			return func(ctx context.Context, msg *nats.Msg) (any, error) {
				return s.perform(ctx, s.arrive(e, msg), msg, mayHandOver)
			}
		}
		a := s.arrive(e, msg)
		return func(ctx context.Context, msg *nats.Msg) (any, error) { return s.perform(ctx, a, msg, mayHandOver) }
	}
}

// arrive decodes a command and enters its lane, unless the stream of events is gone.
func (s *Service) arrive(e room.EventType, msg *nats.Msg) (a arrival) {
	if a.c, a.err = s.decode(e, msg); a.err != nil {
		return a
	}
	if err := s.health.StreamError(); err != nil {
		a.err = s.recorder.Rejected(a.c, err)
		return a
	}
	a.ticket, a.err = s.enterLane(a.c)
	return a
}

// perform executes a command, here or at the service that has the room for now. A command that is
// handed over keeps its place here, so that the next command of its user does not overtake it. The
// commands of other users go on.
func (s *Service) perform(ctx context.Context, a arrival, msg *nats.Msg, mayHandOver bool) (result any, err error) {
	defer func() {
		if err != nil && a.c.ID != "" {
			err = &commandError{err, a.c.ID}
		}
	}()
	if a.err != nil {
		return nil, a.err
	}
	if err := s.awaitTurn(ctx, a.c, a.ticket); err != nil {
		return nil, s.recorder.Rejected(a.c, err)
	}
	defer a.ticket.Leave()
	if a.ticket != nil && len(s.hooks.Rounds(a.c.Request.Event())) > 0 {
		defer s.peers.AnnounceWhenSlow(ctx, a.c, a.ticket.IsAsking)()
	}
	for {
		result, to, err := s.execute(ctx, a.c, a.ticket, mayHandOver)
		if to == nil {
			return result, err
		}
		a.ticket.SendAway()
		if result, done, err := s.peers.HandOver(ctx, a.c, msg, to); done {
			return result, err
		}
		if err := a.ticket.BringBack(ctx); err != nil {
			return nil, s.recorder.Rejected(a.c, err)
		}
	}
}

// commandError is the error that ended a command, with the id of the command.
type commandError struct {
	error
	id string
}

func (e *commandError) Unwrap() error { return e.error }
