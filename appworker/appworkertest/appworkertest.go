// Package appworkertest runs an app's handlers on events that the test creates, without a server. It is as
// strict as the room service.
//
//	app := appworkertest.New(t, guard{})
//	verdict, err := app.Ask(room.PreRoomUserJoined, room.UserJoin{JoiningUser: room.User{ID: "mallory"}})
//	created, err := app.Create(room.CreateRequest{...})
//
// Every event is encoded to JSON and decoded, so that handlers see the event as on the wire. A verdict is
// parsed and applied as the service does it; a verdict that the service would drop is an error. NewWith
// also applies the conditions and the timeout of the app's manifest.
package appworkertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// App is an app under test.
type App struct {
	t          testing.TB
	app        *appworker.App
	conditions map[room.Interface]*expression.Condition
	rooms      appworker.RoomService
}

// New returns an app of the handlers, with a minimal manifest that lists the interfaces they implement.
// The test fails at once if appworker.Run would refuse them.
func New(t testing.TB, handlers ...any) *App {
	t.Helper()
	return NewWith(t, appworker.Manifest{ID: "app", Version: "0.0.0"}, handlers...)
}

// NewWith returns an app of the manifest and the handlers. The test fails at once if appworker.Run or
// the room service would refuse them. An app whose manifest says disabled is asked anyway.
func NewWith(t testing.TB, m appworker.Manifest, handlers ...any) *App {
	t.Helper()
	app, err := appworker.NewApp(m, handlers...)
	if err != nil {
		t.Fatal(err)
	}
	conditions, err := expression.CompileAll(app.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	return &App{t: t, app: app, conditions: conditions, rooms: noRooms{t}}
}

// WithRooms sets the room service that appworker.Rooms returns to handlers, such as NewRooms(). Without
// it, the test fails when a handler uses the room service.
func (a *App) WithRooms(rooms appworker.RoomService) *App {
	a.rooms = rooms
	return a
}

// Ask runs the handler of a pre-event: a room.Create, room.Update, room.Delete, room.UserJoin,
// room.UserUpdate or room.UserLeave.
// The test fails at once if the event does not belong to the interface. The error is the handler's
// failure, or the reason why the room service would drop the verdict.
//
// If the manifest's condition for the interface does not hold, Ask does not run the handler and returns
// room.Skip. In a room.Create, Ask fills in the empty fields that the service fills in: the room's id,
// slugifiedName, type and creator, and the creator among the members. In an update it fills in Changed
// if that is nil.
func (a *App) Ask(i room.Interface, e any) (room.Verdict, error) {
	a.t.Helper()
	d := a.draft(i, e)
	answer, err := a.ask(i, d)
	if err != nil {
		return answer.Verdict, err
	}
	_, answers, _ := rules.Combine(d, i, []rules.Answer{answer}) // the error is a denial, which the verdict has too
	if answers[0].Outcome == room.Failed {
		return answer.Verdict, errors.New(answers[0].Reason)
	}
	return answer.Verdict, nil
}

// handlerTimeout is the default of appworker.Config.
const handlerTimeout = 10 * time.Minute

// Tell runs the handler of a post-event: a room.Created, room.Updated, room.Deleted, room.UserJoined,
// room.UserUpdated or room.UserLeft. In an update it fills in Changed if that is nil. It returns the
// handler's error.
func (a *App) Tell(e any) error {
	a.t.Helper()
	i, ref, err := postEvent(e)
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), handlerTimeout)
	defer cancel()
	return a.app.Tell(ctx, a.rooms, i, a.encode(completed(e)), ref)
}

// ask runs the handler on the draft. An error means that there is no usable verdict; the outcome of the
// answer has the kind of error.
func (a *App) ask(i room.Interface, d rules.Draft) (rules.Answer, error) {
	a.t.Helper()
	m := a.app.Manifest
	answer := rules.Answer{App: m.ID, Essential: m.Essential(i), Shadow: m.Shadow}
	if c := a.conditions[i]; c != nil {
		switch holds, err := c.Holds(expression.Event{ID: commandID, Time: time.Now(), Data: &d.Data}); {
		case err != nil:
			err = fmt.Errorf("its condition cannot be evaluated: %w", err)
			answer.Outcome, answer.Reason = room.Failed, err.Error()
			return answer, err
		case !holds:
			answer.Outcome, answer.Reason = room.Skipped, "its condition does not hold"
			answer.Verdict = room.Verdict{Verdict: room.Skip, Reason: answer.Reason}
			return answer, nil
		}
	}
	began := time.Now()
	err := a.decide(i, d, &answer)
	answer.Took = time.Since(began)
	var unavailable *appworker.UnavailableError
	switch {
	case err == nil:
		answer.Outcome, answer.Reason = answer.Verdict.Verdict.Outcome(), answer.Verdict.Reason
		return answer, nil
	case errors.Is(err, context.DeadlineExceeded):
		answer.Outcome = room.TimedOut
	case errors.As(err, &unavailable):
		answer.Outcome = room.Unavailable
	default:
		answer.Outcome = room.Failed
	}
	answer.Reason = err.Error()
	return answer, err
}

func (a *App) decide(i room.Interface, d rules.Draft, answer *rules.Answer) error {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), a.app.Manifest.Timeout())
	defer cancel()
	verdict, err := a.app.Ask(ctx, a.rooms, i, a.encode(d.Data))
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("no verdict within %s: %w", a.app.Manifest.Timeout(), ctx.Err())
	}
	reply, err := room.Encode(verdict)
	if err != nil {
		return err
	}
	if answer.Verdict, err = room.ParseVerdict(i, reply); err != nil {
		return fmt.Errorf("the verdict cannot be read: %w", err)
	}
	answer.Modified, err = answer.Verdict.Modified(d.Data.Room)
	return err
}

func (a *App) encode(v any) []byte {
	a.t.Helper()
	data, err := room.Encode(v)
	if err != nil {
		a.t.Fatal(err)
	}
	return data
}
