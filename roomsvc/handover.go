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
	"github.com/roombus/roombus/subjects"
)

// handoverFor is how long the commands of a room go to another service before this one tries again
// itself.
const handoverFor = time.Second

// avoidFor is how long none go to a service that has not taken one.
const avoidFor = time.Minute

// handovers are the rooms whose commands this service leaves to another. Services that change one
// room at the same time lose most of it to conflicts: when two of them meet, the one of the lower
// id goes on, and the other hands it what it gets. Nothing depends on it but speed: the guard
// decides whoever commits.
type handovers struct {
	mu      sync.Mutex
	to      map[string]handover  // by room
	avoided map[string]time.Time // services that get none, until then
}

type handover struct {
	service string
	until   time.Time
}

// meet takes note that another service has changed a room at the same time as this one.
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

// of is the service that has the room, empty if it is to be tried here.
func (h *handovers) of(roomID string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to, ok := h.to[roomID]; ok && time.Now().Before(to.until) {
		return to.service
	}
	return ""
}

// avoid leaves no room, for a while, to a service that has ended, is out of reach or has too much to do.
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

// handOver has another service do a command. It returns false if the
// command is to be done here, since the other has surely not begun it. Without an answer that is not
// known: a service that was stopped for a while may yet do it, and only who sent the command can
// say whether it is still wanted.
func (s *Service) handOver(ctx context.Context, c room.Command, msg *nats.Msg, elsewhere *elsewhereError) (result any, done bool, err error) {
	roomID, to := c.Request.Target(), elsewhere.service
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if !elsewhere.waits {
		left /= 2 // there is time to try again
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	sent := time.Now()
	over := &nats.Msg{Subject: subjects.Handover(to, c.Request.Event()), Header: maps.Clone(msg.Header), Data: msg.Data}
	if over.Header == nil {
		over.Header = nats.Header{}
	}
	over.Header.Set(subjects.CommandID, c.ID)
	// A service that was stopped must not do it once the client has been answered.
	subjects.SetTime(over.Header, subjects.Deadline, sent.Add(left))
	// It is to say itself that its time is over: who says nothing is out of order.
	over.Header.Set(subjects.TimeoutMs, strconv.FormatInt(max(1, left.Milliseconds()*9/10), 10))
	reply, err := s.nc.RequestMsgWithContext(ctx, over)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrMaxPayload):
		s.avoid(to)
		return nil, false, nil
	case err != nil:
		if left >= s.cfg.AckWait/2 { // a command in a hurry says nothing about the other
			s.avoid(to)
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
		s.avoid(to)
		return nil, false, nil
	case room.CodeDeadlineExceeded: // the other had only a part of the command's time
		if time.Since(sent) < left/2 { // its clock is ahead, and it would refuse every command
			s.avoid(to)
		}
		return nil, true, unanswered(roomID)
	}
	return nil, true, &relayedError{refused, seqOf(reply)}
}

// avoid sends no commands to a service for a while.
func (s *Service) avoid(service string) {
	s.handovers.avoid(service)
	s.undecided.drop(service)
}

// relayed is another service's result and relayedError its error, each with the Room-Seq header of the
// other's reply: this service's own state may be older.
type relayed struct {
	json.RawMessage
	header nats.Header
}

type relayedError struct {
	error
	header nats.Header
}

func (e *relayedError) Unwrap() error { return e.error }

// seqOf is the Room-Seq header of a reply, nil if the reply has none.
func seqOf(reply *nats.Msg) nats.Header {
	seq := reply.Header.Get(subjects.Seq)
	if seq == "" {
		return nil
	}
	return nats.Header{subjects.Seq: {seq}}
}

// unanswered is the answer while nobody knows what becomes of a command.
func unanswered(roomID string) error {
	return room.Errorf(room.CodeUnavailable, "the service that is changing room %q has not answered in time; send the command again with the same id", roomID)
}

// timeToHandOver reports whether the apps have their fair time in the part of the command's time that
// the other service gets, or do not have it here either.
func (s *Service) timeToHandOver(ctx context.Context, c room.Command) bool {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	needs := timeNeeded(s.apps.rounds(c.Request.Event()), func(k *hook) bool {
		return k.breaker.patient() && k.breaker.state() != room.BreakerOpen
	})
	return forApps(left/2*9/10) >= needs || forApps(left) < needs
}
