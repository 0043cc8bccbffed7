// Command guard is a small app: it keeps banned users out of every room.
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

// PreRoomCreatePrevent checks the members that a room is created with, because no join event fires
// for them.
func (g guard) PreRoomCreatePrevent(_ context.Context, e room.Create) error {
	for _, member := range e.Members {
		if g.banned[member.ID] {
			return room.Prevented(member.ID + " is banned here")
		}
	}
	return nil
}

func main() {
	appworker.Main(appworker.Manifest{
		ID: "guard", Version: "1.0.0",
		// If the guard is away, the room service refuses joins and creations, so that a ban still
		// holds.
		Essentials: []room.Interface{room.PreRoomUserJoined, room.PreRoomCreatePrevent},
		// Other apps may add members to a room. The guard is asked again about the final draft.
		ReinvocationPolicy: room.ReinvokeIfNeeded,
	}, guard{banned: map[string]bool{"mallory": true}})
}
