package main

import (
	"testing"

	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
)

func TestJoin_PolicyDecides(t *testing.T) {
	t.Parallel()
	app := appworkertest.NewWith(t, manifest, moderator{})
	for name, c := range map[string]struct {
		user string
		room room.Room
		want room.Decision
	}{
		"a user with a name":    {"Ada", room.Room{Type: room.PrivateGroup}, room.Allow},
		"a user without a name": {"", room.Room{Type: room.PrivateGroup}, room.Deny},
		"a public room":         {"", room.Room{Type: room.Channel}, room.Skip},
		"a group with a place":  {"Ada", group(4, 5), room.Allow},
		"a full group":          {"Ada", group(5, 5), room.Deny},
	} {
		v, err := app.Ask(room.PreRoomUserJoined, room.UserJoin{Room: c.room, JoiningUser: room.User{ID: "ada", Name: c.user}})
		if err != nil || v.Verdict != c.want {
			t.Errorf("%s: %v, %v; want %v", name, v.Verdict, err, c.want)
		}
	}
	_, err := app.Ask(room.PreRoomUserJoined, room.UserJoin{Room: group(1, "five"), JoiningUser: room.User{ID: "ada", Name: "Ada"}})
	if err == nil {
		t.Error("a limit that is no number is passed over")
	}
}

func group(members int, limit any) room.Room {
	return room.Room{Type: room.PrivateGroup, MemberCount: members, CustomFields: map[string]any{"max": limit}}
}

func TestWelcomeRoom_CreatedOnce(t *testing.T) {
	t.Parallel()
	rooms := appworkertest.NewRooms()
	app := appworkertest.NewWith(t, manifest, moderator{}).WithRooms(rooms)
	var joined room.UserJoined
	joined.Room = room.Room{ID: "team", Type: room.PrivateGroup}
	joined.JoiningUser = room.User{ID: "ada", Name: "Ada"}
	joined.Event.ID = "event-1"
	for range 2 { // the event may be delivered twice
		if err := app.Tell(joined); err != nil {
			t.Fatal(err)
		}
	}
	welcome, err := rooms.Get(t.Context(), room.CommandID("welcome", "event-1"))
	if err != nil || welcome.ParentRoomID != "team" {
		t.Errorf("%+v, %v", welcome, err)
	}
}
