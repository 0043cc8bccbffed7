package roomsvc

import (
	"context"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
	"github.com/roombus/roombus/roomsvc/lanes"
	"github.com/roombus/roombus/roomsvc/peers"
)

// execute tries a command until it is answered or the attempts are used up. It returns the service
// that is to execute the command instead, nil if there is none. A change that an app blocks, or
// that cannot be committed, is recorded as a rejection. It must be the command's turn.
func (cs *commands) execute(ctx context.Context, c rules.Command, place *lanes.Ticket, mayHandOver bool) (room.Result, *peers.Peer, error) {
	try := &attempts{cfg: cs.cfg, place: place}
	for try.next(ctx) {
		if mayHandOver && try.isFresh() {
			if to := cs.elsewhere(ctx, c, try.n == 1); to != nil {
				return room.Result{}, to, nil
			}
		}
		o := cs.handle(ctx, c, place, try)
		if o.fate == answered {
			return o.result, nil, o.err
		}
		try.record(o)
	}
	if done := cs.resolve(c, try); done != nil {
		return *done, nil, nil
	}
	return room.Result{}, nil, cs.recorder.Rejected(c, try.exhausted(ctx))
}

// elsewhere returns the service that has the command's room for now, or that is deciding an earlier
// command of the same user. It returns nil if there is none. After the first try this service is
// deciding the command too. If each of two services then sent its command to the other one, they
// would wait for each other; so only a command that would change nothing goes there.
func (cs *commands) elsewhere(ctx context.Context, c rules.Command, isFirst bool) *peers.Peer {
	roomID := c.Request.Target()
	if to := cs.peers.Having(roomID); to != "" && timeToHandOver(ctx, cs.hooks.FairTime(c.Request.Event())) {
		return &peers.Peer{ID: to}
	}
	if to := cs.peers.Deciding(roomID, rules.UserID(c.Request)); to != "" {
		if view, committed := cs.projection.View(c); committed == 0 && (isFirst || !view.Changes(c.Request)) {
			return &peers.Peer{ID: to, Waits: true}
		}
	}
	return nil
}

// timeToHandOver reports whether the apps have the time that they need in the other service's part
// of the command's time, or do not have it here either.
func timeToHandOver(ctx context.Context, needed time.Duration) bool {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	return hooks.ForApps(left/2*9/10) >= needed || hooks.ForApps(left) < needed
}

// resolve looks for the outcome of a publish that was not acknowledged, for a command that has no
// time left. It returns the result if the event was stored. If the room has moved on without it, it
// was not stored.
func (cs *commands) resolve(c rules.Command, try *attempts) *room.Result {
	if try.uncertainSeq == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cs.ctx, cs.cfg.AckWait)
	defer cancel()
	view, done, err := cs.load(ctx, c)
	if err == nil && view.Seq != *try.uncertainSeq {
		try.uncertainSeq = nil
	}
	return done
}
