package scene

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
)

// Verdicts on the wire.
const (
	Denies = `{"verdict":"deny","reason":"banned"}`
	Allows = `{"verdict":"allow"}`
)

// AllowJoins lets every user join.
var AllowJoins = appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }}

// OnJoin are the interfaces of an app that is asked about joins only.
var OnJoin = []room.Interface{room.PreRoomUserJoined}

// PreRoom returns the room of a pre-event.
func PreRoom(msg *nats.Msg) room.Room {
	var d room.Data
	_ = json.Unmarshal(msg.Data, &d)
	return d.Room
}

// Allow is a handler for harness.Bus.Answer that allows everything.
func Allow(msg *nats.Msg) { _ = msg.Respond([]byte(Allows)) }
