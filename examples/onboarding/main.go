// Command onboarding is an app that completes rooms on their way to being created: it adds a bot and
// a number of seats, and makes rooms with many seats read-only.
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

// PreRoomCreateExtend adds what is missing. A custom field that is there already would be a conflict, which
// drops the whole extension.
func (onboarding) PreRoomCreateExtend(_ context.Context, e room.Create) (room.Extension, error) {
	added := room.Extension{Members: []room.User{{ID: "helpbot", Name: "Help"}}}
	_, ok, err := room.Int(e.Room.CustomFields, "seats")
	if err != nil {
		return room.Extension{}, err // such as "seats": "many": the app has failed, and adds nothing
	}
	if !ok {
		added.CustomFields = map[string]any{"seats": defaultSeats}
	}
	return added, nil
}

// PreRoomCreateModify returns the room as it shall be. It sees what extensions and the apps before it made.
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
