package roomsvc

import (
	"context"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// execute tries a command until it is answered or the attempts are used up. It returns the service
// that is to execute the command instead, nil if there is none. A change that an app blocks, or
// that cannot be committed, is recorded as a rejection. It must be the command's turn.
func (s *Service) execute(ctx context.Context, c rules.Command, place *ticket, mayHandOver bool) (room.Result, *elsewhere, error) {
	try := s.newAttempts(place)
	for try.next(ctx) {
		if mayHandOver && try.isFresh() {
			if to := s.elsewhere(ctx, c); to != nil {
				return room.Result{}, to, nil
			}
		}
		o := s.handle(ctx, c, place, try)
		if o.fate == answered {
			return o.result, nil, o.err
		}
		try.record(o)
	}
	if done := s.resolve(c, try); done != nil {
		return *done, nil, nil
	}
	return room.Result{}, nil, s.rejected(c, try.exhausted(ctx))
}

// resolve looks for the outcome of a publish that was not acknowledged, for a command that has no
// time left. It returns the result if the event was stored. If the room has moved on without it, it
// was not stored.
func (s *Service) resolve(c rules.Command, try *attempts) *room.Result {
	if try.uncertainSeq == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.AckWait)
	defer cancel()
	view, done, err := s.load(ctx, c)
	if err == nil && view.Seq != *try.uncertainSeq {
		try.uncertainSeq = nil
	}
	return done
}
