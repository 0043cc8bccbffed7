package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// handoverFor is how long the commands of a room go to another service before this one tries to
// commit itself.
const handoverFor = time.Second

// avoidFor is how long no command goes to a service that did not take one.
const avoidFor = time.Minute

// handovers are the rooms whose commands this service hands over to another service. Services that
// change one room at the same time lose most of their work to conflicts. When two conflict, the
// service with the lower id goes on, and the other hands its commands over. This is only for speed:
// the guard decides which commit wins.
type handovers struct {
	mu      sync.Mutex
	to      map[string]handover  // by room
	avoided map[string]time.Time // services that get no command until that time
}

type handover struct {
	service string
	until   time.Time
}

// meet records a conflict with a commit of another service.
func (h *handovers) meet(roomID, self, other string) {
	if other == "" || other >= self {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if now.Before(h.avoided[other]) {
		return
	}
	if h.to == nil {
		h.to = make(map[string]handover)
	}
	maps.DeleteFunc(h.to, func(_ string, old handover) bool { return now.After(old.until) })
	h.to[roomID] = handover{service: other, until: now.Add(handoverFor)}
}

// of returns the service that has the room, empty if this service has it.
func (h *handovers) of(roomID string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to, ok := h.to[roomID]; ok && time.Now().Before(to.until) {
		return to.service
	}
	return ""
}

// avoid hands nothing over for a while to a service that has stopped, is unreachable or is
// overloaded.
func (h *handovers) avoid(service string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.to, func(_ string, to handover) bool { return to.service == service })
	now := time.Now()
	maps.DeleteFunc(h.avoided, func(_ string, until time.Time) bool { return now.After(until) })
	if h.avoided == nil {
		h.avoided = make(map[string]time.Time)
	}
	h.avoided[service] = now.Add(avoidFor)
}

// handOver sends a command to another service. It returns done false if this service must execute
// the command, since the other has certainly not begun it. Without an answer that is unknown: a
// service that was stopped for a while may still execute the command. Only the client can decide
// whether to send it again.
func (p *peers) handOver(ctx context.Context, c rules.Command, msg *nats.Msg, to *elsewhere) (result any, done bool, err error) {
	roomID := c.Request.Target()
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if !to.waits {
		left /= 2 // keeps time for another try
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	sent := time.Now()
	over := &nats.Msg{Subject: subjects.Handover(to.service, c.Request.Event()), Header: maps.Clone(msg.Header), Data: msg.Data}
	if over.Header == nil {
		over.Header = nats.Header{}
	}
	over.Header.Set(subjects.CommandID, c.ID)
	// A service that was stopped must not execute the command after the client has its answer.
	subjects.SetTime(over.Header, subjects.Deadline, sent.Add(left))
	// The other service reports a timeout itself. A service that does not answer is out of order.
	over.Header.Set(subjects.TimeoutMs, strconv.FormatInt(max(1, left.Milliseconds()*9/10), 10))
	reply, err := p.nc.RequestMsgWithContext(ctx, over)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrMaxPayload):
		p.avoid(to.service)
		return nil, false, nil
	case err != nil:
		if left >= p.ackWait/2 { // a command with little time shows nothing about the other service
			p.avoid(to.service)
		}
		return nil, true, unanswered(roomID)
	case reply.Header.Get(micro.ErrorCodeHeader) == "":
		return relayed{reply.Data, seqOf(reply)}, true, nil
	}
	refused := &room.Error{}
	if err := room.DecodeLenient(reply.Data, refused); err != nil {
		return nil, true, room.Errorf(room.CodeUnavailable, "the service that is changing room %q gave an answer that cannot be read", roomID)
	}
	switch refused.Code {
	case room.CodeOverloaded:
		p.avoid(to.service)
		return nil, false, nil
	case room.CodeDeadlineExceeded: // the other service had only a part of the command's time
		if time.Since(sent) < left/2 { // its clock is ahead, so it would refuse every command
			p.avoid(to.service)
		}
		return nil, true, unanswered(roomID)
	}
	return nil, true, &relayedError{refused, seqOf(reply)}
}

// relayed is another service's result and relayedError its error. Both keep the Room-Seq header of
// the other's reply, since the state of this service may be older.
type relayed struct {
	json.RawMessage
	header nats.Header
}

type relayedError struct {
	error
	header nats.Header
}

func (e *relayedError) Unwrap() error { return e.error }

// seqOf returns the Room-Seq header of a reply, nil if there is none.
func seqOf(reply *nats.Msg) nats.Header {
	seq := reply.Header.Get(subjects.Seq)
	if seq == "" {
		return nil
	}
	return nats.Header{subjects.Seq: {seq}}
}

// unanswered is the error of a command whose outcome at another service is unknown.
func unanswered(roomID string) error {
	return room.Errorf(room.CodeUnavailable, "the service that is changing room %q has not answered in time; send the command again with the same id", roomID)
}
