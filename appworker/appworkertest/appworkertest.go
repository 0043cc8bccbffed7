// Package appworkertest runs an app's handlers against events made by hand, without a server.
//
//	app := appworkertest.New(t, guard{})
//	verdict, err := app.Ask(room.PreRoomUserJoined, room.UserJoin{JoiningUser: room.User{ID: "mallory"}})
//
// Every event goes through JSON and back, so that handlers see what the wire would bring
// them; verdicts are checked as the room service checks them. A handler's context ends after
// a second, like that of an app with the default timeout.
package appworkertest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
)

// App is an app under test.
type App struct {
	t     testing.TB
	app   *appworker.App
	rooms appworker.RoomService
}

// New makes an app of the handlers. The test fails at once if they are none.
func New(t testing.TB, handlers ...any) *App {
	t.Helper()
	app, err := appworker.NewApp(appworker.Manifest{ID: "app", Version: "0.0.0"}, handlers...)
	if err != nil {
		t.Fatal(err)
	}
	return &App{t: t, app: app}
}

// WithRooms makes the room service that handlers get from appworker.Rooms. Without it they
// get nil.
func (a *App) WithRooms(rooms appworker.RoomService) *App {
	a.rooms = rooms
	return a
}

// Ask runs the handler of a pre-event: a room.Create, room.Delete, room.UserJoin or
// room.UserLeave. The error is the handler's failure, or says why the room service would not
// take the verdict.
func (a *App) Ask(i room.Interface, e any) (room.Verdict, error) {
	a.t.Helper()
	v, err := a.app.Ask(a.context(), a.rooms, i, a.encode(e))
	if err != nil {
		return v, err
	}
	reply, err := room.Encode(v)
	if err != nil {
		return v, err
	}
	return room.ParseVerdict(i, reply)
}

// Tell runs the handler of a post-event: a room.Created, room.Deleted, room.UserJoined or
// room.UserLeft. The error is what the handler returned.
func (a *App) Tell(e any) error {
	a.t.Helper()
	i, ref, err := postEvent(e)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.app.Tell(a.context(), a.rooms, i, a.encode(e), ref)
}

func postEvent(e any) (room.Interface, room.EventRef, error) {
	switch e := e.(type) {
	case room.Created:
		return room.PostRoomCreate, e.Event, nil
	case room.Deleted:
		return room.PostRoomDeleted, e.Event, nil
	case room.UserJoined:
		return room.PostRoomUserJoined, e.Event, nil
	case room.UserLeft:
		return room.PostRoomUserLeave, e.Event, nil
	}
	return "", room.EventRef{}, fmt.Errorf("%T is no post-event", e)
}

func (a *App) context() context.Context {
	ctx, cancel := context.WithTimeout(a.t.Context(), room.DefaultTimeoutMs*time.Millisecond)
	a.t.Cleanup(cancel)
	return ctx
}

func (a *App) encode(v any) []byte {
	a.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		a.t.Fatal(err)
	}
	return data
}
