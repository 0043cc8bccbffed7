package roomsvc

import (
	"context"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
	"github.com/roombus/roombus/roomsvc/lanes"
)

// handle tries a command once, from load to commit. Earlier tries of the command may have left a
// denial that stands. The stream's leader confirms an answer that commits nothing.
func (cs *commands) handle(ctx context.Context, c rules.Command, place *lanes.Ticket, earlier *attempts) outcome {
	view, done, err := cs.load(ctx, c) // 1
	switch {
	case err != nil:
		return answer(room.Result{}, earlier.standing(err))
	case done != nil: // the command was sent again
		return answer(*done, nil)
	}
	draft, refusal := rules.Decide(view, c) // 2
	if draft != nil {
		refusal = earlier.asked(*draft, cs.consult(ctx, c, place, draft)) // 3, 4
	}
	if draft == nil || refusal != nil {
		confirmed := cs.committer.confirm(ctx, c, view)
		if confirmed.fate != unchanged {
			return confirmed
		}
		return answer(room.Result{Room: view.Room}, cs.recorder.Rejected(c, earlier.finalError(refusal, view.Seq)))
	}
	place.At(lanes.Committing())
	return cs.committer.commit(ctx, c, view, *draft) // 5
}

// consult asks the apps about the draft, round by round, and combines their answers into it. The
// error blocks the change.
func (cs *commands) consult(ctx context.Context, c rules.Command, place *lanes.Ticket, draft *rules.Draft) error {
	defer place.At(nil)
	first := *draft
	var without []hooks.FailedOpen
	rounds := cs.hooks.Rounds(draft.Event)
	for n := range rounds {
		round := &rounds[n]
		if round.Again && !draft.Differs(first) {
			continue
		}
		if round.AsksWorkers() {
			place.At(lanes.Asking(round.Apps))
		}
		asked := cs.hooks.Gather(ctx, c, draft, round) // 3
		var refusal error
		*draft, asked.Answers, refusal = rules.Combine(*draft, round.Interface, asked.Answers) // 4
		asked.Record()
		if refusal != nil {
			return refusal
		}
		without = append(without, asked.FailedOpen()...)
	}
	cs.hooks.CountFailedOpen(without)
	return nil
}
