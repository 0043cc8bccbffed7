package peers

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// HandOver sends a command to another service. It returns done false if this service must execute
// the command, since the other has certainly not begun it. Without an answer that is unknown: a
// service that was stopped for a while may still execute the command. Only the client can decide
// whether to send it again.
func (p *Peers) HandOver(ctx context.Context, c rules.Command, msg *nats.Msg, to *Peer) (result any, done bool, err error) {
	roomID := c.Request.Target()
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if !to.Waits {
		left /= 2 // keeps time for another try
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	sent := time.Now()
	over := &nats.Msg{Subject: subjects.Handover(to.ID, c.Request.Event()), Header: maps.Clone(msg.Header), Data: msg.Data}
	if over.Header == nil {
		over.Header = nats.Header{}
	}
	over.Header.Set(subjects.CommandID, c.ID)
	// A service that was stopped must not execute the command after the client has its answer.
	subjects.SetTime(over.Header, subjects.Deadline, sent.Add(left))
	// The other service reports a timeout itself. A service that does not answer is out of order.
	over.Header.Set(subjects.TimeoutMs, strconv.FormatInt(max(1, left.Milliseconds()*9/10), 10))
	reply, err := p.cfg.Conn.RequestMsgWithContext(ctx, over)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrMaxPayload):
		p.avoid(to.ID)
		return nil, false, nil
	case err != nil:
		if left >= p.cfg.AckWait/2 { // a command with little time shows nothing about the other service
			p.avoid(to.ID)
		}
		return nil, true, unanswered(roomID)
	case reply.Header.Get(micro.ErrorCodeHeader) == "":
		return Result{reply.Data, seqOf(reply)}, true, nil
	}
	refused := &room.Error{}
	if err := room.DecodeLenient(reply.Data, refused); err != nil {
		return nil, true, room.Errorf(room.CodeUnavailable, "the service that is changing room %q gave an answer that cannot be read", roomID)
	}
	switch refused.Code {
	case room.CodeOverloaded:
		p.avoid(to.ID)
		return nil, false, nil
	case room.CodeDeadlineExceeded: // the other service had only a part of the command's time
		if time.Since(sent) < left/2 { // its clock is ahead, so it would refuse every command
			p.avoid(to.ID)
		}
		return nil, true, unanswered(roomID)
	}
	return nil, true, &Error{refused, seqOf(reply)}
}
