package scene

import "github.com/roombus/roombus/room"

// Users of most tests.
var (
	Alice = room.User{ID: "alice", Username: "alice.a", Attributes: map[string]any{"team": "red"}}
	Bob   = room.User{ID: "bob"}
	Carol = room.User{ID: "carol"}
)
