package appworkertest

import (
	"time"

	"github.com/roombus/roombus/room"
)

// commandID is the id of the commands that the app is asked about.
const commandID = "command"

// Create runs a creation as the room service does: the app is asked whether to prevent it, then what
// to add, then what to modify, and with the reinvocation policy if_needed once more whether to prevent
// what became of it. It returns the room, its members, the app's outcomes and its warnings: the body of the
// post-event, if there is no error. The error is what a client of the service gets, a *room.Error:
// the request is invalid, the app prevents the creation, or gives no usable verdict and is essential.
// Where it is not essential, its failure is an outcome in Apps and the creation goes on.
func (a *App) Create(r room.CreateRequest) (room.Data, error) {
	a.t.Helper()
	request, err := room.DecodeRequest(room.EventCreate, commandID, a.encode(r))
	if err != nil {
		return room.Data{}, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	draft, err := room.Decide(room.View{}, room.Command{ID: commandID, Time: now, Bounds: bounds, Request: request})
	if err != nil {
		return room.Data{}, err
	}
	first := *draft
	m := a.app.Manifest
	phases := room.EventCreate.Phases()
	if m.ReinvocationPolicy == room.ReinvokeIfNeeded {
		phases = append(phases, room.PreRoomCreatePrevent)
	}
	for n, i := range phases {
		again := n == len(room.EventCreate.Phases())
		if !m.Has(i) || again && !draft.Differs(first) {
			continue
		}
		answer, _ := a.ask(i, asked(*draft)) // the outcome says why there is no verdict
		answer.Reinvoked = again
		if *draft, err = room.Combine(*draft, i, []room.Answer{answer}); err != nil {
			return draft.Data, err
		}
	}
	return draft.Final(), nil
}

// asked is the draft as apps see it: without what they have said so far.
func asked(d room.Draft) room.Draft {
	d.Data.Apps, d.Data.Warnings = nil, nil
	return d
}
