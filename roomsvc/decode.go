package roomsvc

import (
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// decode returns the command in a request that makes events of type e.
func (cs *commands) decode(e room.EventType, msg *nats.Msg) (rules.Command, error) {
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
		Bounds:      eventBounds(int(cs.nc.MaxPayload())),
		Bytes:       len(msg.Data),
		CausedBy:    causes,
		Request:     r,
	}, err
}

// commandID returns the id in the request, or a new one.
func commandID(msg *nats.Msg) string {
	if id := msg.Header.Get(subjects.CommandID); id != "" {
		return id
	}
	return uuid.Must(uuid.NewV7()).String()
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
