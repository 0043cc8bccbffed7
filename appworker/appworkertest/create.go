package appworkertest

import (
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// commandID is the id of the commands that the app is asked about.
const commandID = "command"

// Create runs a creation as the room service does: it asks the app to prevent, then to extend, then to
// modify it. With the reinvocation policy if_needed it asks the app again to prevent a draft that has
// changed. Create returns the body of the post-event: the room, its members, the app's outcomes and
// warnings. The error is a *room.Error as a client of the service gets it: the request is invalid, the app
// prevents the creation, or the app is essential and gives no usable verdict. If the app is not essential,
// its failure is an outcome in Apps and the creation continues.
func (a *App) Create(r room.CreateRequest) (room.Data, error) {
	a.t.Helper()
	request, err := room.DecodeRequest(room.EventCreate, commandID, a.encode(r))
	if err != nil {
		return room.Data{}, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	draft, err := rules.Decide(rules.View{}, rules.Command{ID: commandID, Time: now, Bounds: bounds, Request: request})
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
		answer, _ := a.ask(i, asked(*draft)) // the outcome has the error
		answer.Reinvoked = again
		if *draft, _, err = rules.Combine(*draft, i, []rules.Answer{answer}); err != nil {
			return draft.Data, err
		}
	}
	return draft.Final(), nil
}

// asked returns the draft as apps see it: without the outcomes and warnings so far.
func asked(d rules.Draft) rules.Draft {
	d.Data.Apps, d.Data.Warnings = nil, nil
	return d
}
