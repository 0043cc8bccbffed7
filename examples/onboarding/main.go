// Command onboarding is an app that completes rooms while they are created. It adds a bot and a
// number of seats, and makes rooms with many seats read-only.
package main

import (
	"context"
	"fmt"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
)

const (
	defaultSeats = 50
	manySeats    = 500
)

var manifest = appworker.Manifest{ID: "onboarding", Version: "1.0.0"}

type onboarding struct{}

var (
	_ appworker.PreRoomCreateExtend = onboarding{}
	_ appworker.PreRoomCreateModify = onboarding{}
)

// PreRoomCreateExtend adds the missing fields and members. A custom field that already exists would
// be a conflict, which drops the whole extension.
func (onboarding) PreRoomCreateExtend(_ context.Context, e room.Create) (room.Extension, error) {
	added := room.Extension{Members: []room.User{{ID: "helpbot", Name: "Help"}}}
	_, ok, err := room.Int(e.Room.CustomFields, "seats")
	if err != nil {
		return room.Extension{}, err // for example "seats": "many": the app fails, and adds nothing
	}
	if !ok {
		added.CustomFields = map[string]any{"seats": defaultSeats}
	}
	return added, nil
}

// PreRoomCreateModify returns the changed room. It sees the changes of extensions and of the apps
// before it.
func (onboarding) PreRoomCreateModify(_ context.Context, e room.Create) (room.Room, error) {
	seats, _, err := room.Int(e.Room.CustomFields, "seats")
	if err != nil {
		return room.Room{}, err
	}
	if seats > manySeats {
		e.Room.IsReadOnly = true
	}
	if e.Room.DisplayName == "" {
		e.Room.DisplayName = fmt.Sprintf("%s (%d seats)", e.Room.SlugifiedName, seats)
	}
	return e.Room, nil
}

func main() { appworker.Main(manifest, onboarding{}) }
