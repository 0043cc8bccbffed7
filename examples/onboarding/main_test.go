package main

import (
	"testing"

	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
)

func TestCreation(t *testing.T) {
	t.Parallel()
	app := appworkertest.NewWith(t, manifest, onboarding{})
	for name, c := range map[string]struct {
		fields   map[string]any
		seats    int64
		readOnly bool
		display  string
		outcome  room.Outcome
		members  int
	}{
		"without seats":            {nil, 50, false, "lobby (50 seats)", room.Allowed, 2},
		"with seats":               {map[string]any{"seats": 5}, 5, false, "lobby (5 seats)", room.Allowed, 2},
		"with many seats":          {map[string]any{"seats": 501}, 501, true, "lobby (501 seats)", room.Allowed, 2},
		"with seats of wrong type": {map[string]any{"seats": "many"}, 0, false, "", room.Failed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			created, err := app.Create(room.CreateRequest{
				Room:    room.NewRoom{ID: "lobby", SlugifiedName: "lobby", Type: room.Channel, CustomFields: c.fields},
				Creator: room.User{ID: "ada"},
			})
			if err != nil {
				t.Fatal(err)
			}
			seats, _, _ := room.Int(created.Room.CustomFields, "seats")
			if seats != c.seats || created.Room.IsReadOnly != c.readOnly || created.Room.DisplayName != c.display {
				t.Errorf("%+v", created.Room)
			}
			if len(created.Members) != c.members {
				t.Errorf("members %v", created.Members)
			}
			for _, outcome := range created.Apps {
				if outcome.Outcome != c.outcome {
					t.Errorf("%+v", outcome)
				}
			}
		})
	}
}
