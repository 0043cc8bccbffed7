// Command picky is an app that discards one user's joins, which become dead letters. It prints the
// ids of the other events.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
)

func main() {
	appworker.Main(appworker.Manifest{ID: "picky", Version: "1.0.0"}, appworker.Handlers{PostRoomUserJoined: joined})
}

func joined(_ context.Context, e room.UserJoined) error {
	if e.JoiningUser.ID == "poison" {
		return appworker.Discard(errors.New("not this one"))
	}
	fmt.Println(e.Event.ID)
	return nil
}
