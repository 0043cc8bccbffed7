package main

import (
	"testing"

	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
)

func TestNamelessUsersStayOut(t *testing.T) {
	t.Parallel()
	app := appworkertest.New(t, moderator{})
	for name, want := range map[string]room.Decision{"": room.Deny, "Ada": room.Allow} {
		v, err := app.Ask(room.PreRoomUserJoined, room.UserJoin{JoiningUser: room.User{ID: "ada", Name: name}})
		if err != nil || v.Verdict != want {
			t.Errorf("a user named %q: %v, %v; want %v", name, v.Verdict, err, want)
		}
	}
}
