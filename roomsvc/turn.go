package roomsvc

import (
	"context"
	"time"

	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
	"github.com/roombus/roombus/roomsvc/lanes"
)

// enterLane puts a command into the lane of its room. A command that would change the room waits
// for all earlier commands that would. Any command waits for the earlier commands of its own user.
// A command that is already committed gets no ticket: it is answered with its first result. The
// error is that of lanes.Enter.
func (cs *commands) enterLane(c rules.Command) (*lanes.Ticket, error) {
	view, committed := cs.projection.View(c)
	if committed != 0 {
		return nil, nil
	}
	return cs.lanes.Enter(lanes.Command{
		ID: c.ID, Room: c.Request.Target(), User: rules.UserID(c.Request), Changes: view.Changes(c.Request), CausedBy: c.CausedBy,
	})
}

// awaitTurn returns when it is the command's turn. Then the caller calls Leave in the end. The error
// is of code deadline_exceeded if the command's time runs out before, or leaves too little for an
// app that hangs. It is of code unavailable if JetStream could not store the event of a command in
// front.
func (cs *commands) awaitTurn(ctx context.Context, c rules.Command, t *lanes.Ticket) error {
	if !t.Queued() {
		return nil
	}
	look := func() (changes, committed bool) {
		view, seq := cs.projection.View(c)
		return seq == 0 && view.Changes(c.Request), seq != 0
	}
	err := t.Wait(ctx, func() bool { changes, _ := look(); return changes })
	changes, committed := look()
	switch {
	case committed:
		return nil // the command was sent twice, and its first copy is done
	case err != nil && t.HasEarlierCopy():
		err = unknown() // the first copy may still commit
	case err == nil && changes && isTooLate(ctx, t.Waited(), cs.hooks.FairTimeOfHanging(c.Request.Event())):
		err = lanes.TooLate(c.Request.Target())
	}
	if err != nil {
		t.Leave()
	}
	return err
}

// isTooLate reports whether a command had the time that the apps that hang need when it came, and
// has too little left after the wait for its turn. If it asked those apps, the commands behind it
// would also come too late, and the breakers of the apps would not count a timeout.
func isTooLate(ctx context.Context, waited, needed time.Duration) bool {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	return hooks.ForApps(left) < needed && hooks.ForApps(left+waited) >= needed
}
