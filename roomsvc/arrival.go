package roomsvc

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
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
func (cs *commands) command(e room.EventType, mayHandOver bool) func(*nats.Msg) serve {
	return func(msg *nats.Msg) serve {
		if len(msg.Data) > maxOrdered {
			return func(ctx context.Context, msg *nats.Msg) (any, error) {
				return cs.perform(ctx, cs.arrive(e, msg), msg, mayHandOver)
			}
		}
		a := cs.arrive(e, msg)
		return func(ctx context.Context, msg *nats.Msg) (any, error) { return cs.perform(ctx, a, msg, mayHandOver) }
	}
}

// arrive decodes a command and enters its lane, unless the stream of events is gone.
func (cs *commands) arrive(e room.EventType, msg *nats.Msg) (a arrival) {
	if a.c, a.err = cs.decode(e, msg); a.err != nil {
		return a
	}
	if err := cs.health.StreamError(); err != nil {
		a.err = cs.recorder.Rejected(a.c, err)
		return a
	}
	a.ticket, a.err = cs.enterLane(a.c)
	return a
}

// perform executes a command, here or at the service that has the room for now. A command that is
// handed over keeps its place here, so that the next command of its user does not overtake it. The
// commands of other users go on.
func (cs *commands) perform(ctx context.Context, a arrival, msg *nats.Msg, mayHandOver bool) (result any, err error) {
	defer func() {
		if err != nil && a.c.ID != "" {
			err = &commandError{err, a.c.ID}
		}
	}()
	if a.err != nil {
		return nil, a.err
	}
	if err := cs.awaitTurn(ctx, a.c, a.ticket); err != nil {
		return nil, cs.recorder.Rejected(a.c, err)
	}
	defer a.ticket.Leave()
	if a.ticket != nil && hooks.AskWorkers(cs.hooks.Rounds(a.c.Request.Event())) {
		defer cs.peers.AnnounceWhenSlow(ctx, a.c, a.ticket.IsAsking)()
	}
	for {
		result, to, err := cs.execute(ctx, a.c, a.ticket, mayHandOver)
		if to == nil {
			return result, err
		}
		a.ticket.SendAway()
		if result, done, err := cs.peers.HandOver(ctx, a.c, msg, to); done {
			return result, err
		}
		if err := a.ticket.BringBack(ctx); err != nil {
			return nil, cs.recorder.Rejected(a.c, err)
		}
	}
}

// commandError is the error that ended a command, with the id of the command.
type commandError struct {
	error
	id string
}

func (e *commandError) Unwrap() error { return e.error }
