package roomsvc

import (
	"context"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
)

// handle executes one command from load to commit. The stream's leader confirms an answer that
// commits nothing. After a failure handle goes back to step 1 until the attempts are used up. A
// change that an app blocks, or that cannot be committed, is recorded as a rejection. If
// mayHandOver is true, handle returns an elsewhereError if another service has the room for now, or
// if the command would change nothing while another service decides an earlier command of its user.
// It must be the command's turn.
func (s *Service) handle(ctx context.Context, c rules.Command, place *ticket, mayHandOver bool) (room.Result, error) {
	try := s.newAttempts(place)
	for try.next(ctx) {
		mayHandOver = mayHandOver && try.isFresh()
		if to := s.handovers.of(c.Request.Target()); mayHandOver && to != "" && s.timeToHandOver(ctx, c) {
			return room.Result{}, &elsewhereError{service: to}
		}
		view, done, err := s.load(ctx, c) // 1
		if err != nil {
			return room.Result{}, try.standing(err)
		}
		if done != nil {
			return *done, nil // the command was sent again
		}
		draft, refusal := rules.Decide(view, c) // 2
		if to := s.undecided.of(c); mayHandOver && draft == nil && to != "" {
			return room.Result{}, &elsewhereError{service: to, waits: true}
		}
		if draft != nil {
			refusal = try.asked(*draft, s.consult(ctx, c, place, draft)) // 3, 4
		}
		if draft == nil || refusal != nil {
			if err := s.confirm(ctx, c, view); err != nil {
				try.record(err, view)
				continue
			}
			return room.Result{Room: view.Room}, s.rejected(c, try.finalError(refusal, view))
		}
		place.at(committing)
		event, err := s.commit(ctx, c, view, *draft) // 5
		if err == nil {
			return event.Result(), nil
		}
		try.record(err, view)
	}
	if done := s.resolve(c, try); done != nil {
		return *done, nil
	}
	return room.Result{}, s.rejected(c, try.exhausted(ctx))
}

// consult asks the apps about the draft, round by round, and combines their answers into it. The
// error blocks the change.
func (s *Service) consult(ctx context.Context, c rules.Command, place *ticket, draft *rules.Draft) error {
	defer place.at(nil)
	first := *draft
	var without []hooks.FailedOpen
	rounds := s.hooks.Rounds(draft.Event)
	for n := range rounds {
		round := &rounds[n]
		if round.Again && !draft.Differs(first) {
			continue
		}
		place.at(&step{asked: round})
		asked := s.hooks.Gather(ctx, c, *draft, round) // 3
		var refusal error
		*draft, asked.Answers, refusal = rules.Combine(*draft, round.Interface, asked.Answers) // 4
		asked.Record()
		if refusal != nil {
			return refusal
		}
		without = append(without, asked.FailedOpen()...)
	}
	s.hooks.CountFailedOpen(without)
	return nil
}
