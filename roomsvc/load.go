package roomsvc

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// load returns the room from the projection once the registry is in sync. If the command is
// committed already, it returns the first result.
func (cs *commands) load(ctx context.Context, c rules.Command) (rules.View, *room.Result, error) {
	if err := cs.registry.AwaitSync(ctx); err != nil {
		return rules.View{}, nil, err
	}
	view, seq := cs.projection.View(c)
	if seq == 0 {
		return view, nil, nil
	}
	msg, err := cs.events.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) && (!view.Exists || view.Latest.Create > seq) {
		return view, nil, room.Errorf(room.CodeRoomNotFound,
			"command %s was done, but its room has been deleted since and the history removed", c.ID)
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return view, nil, room.Errorf(room.CodeInvalidRequest,
			"command id %s was used for a command whose event has been removed since; give every command an id of its own", c.ID)
	}
	if err != nil {
		return view, nil, room.Errorf(room.CodeUnavailable, "the command is committed, but its event cannot be read now: %v", err)
	}
	e, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
	if err != nil {
		return view, nil, fmt.Errorf("reading event %d: %w", seq, err)
	}
	if !rules.Matches(e, c.Request) {
		return view, nil, room.Errorf(room.CodeInvalidRequest,
			"command id %s was used for another command, %s of room %q; give every command an id of its own", c.ID, e.Type, e.Room)
	}
	done := e.Result()
	return view, &done, nil
}
