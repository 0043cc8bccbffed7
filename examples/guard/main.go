// Command guard is the smallest app: it keeps banned users out of every room.
package main

import (
	"context"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
)

type guard struct{ banned map[string]bool }

func (g guard) PreRoomUserJoined(_ context.Context, e room.UserJoin) error {
	if g.banned[e.JoiningUser.ID] {
		return room.UserNotAllowed("you are banned here")
	}
	return nil
}

func main() {
	appworker.Main(appworker.Manifest{ID: "guard", Version: "1.0.0"}, guard{banned: map[string]bool{"mallory": true}})
}
