package rules_test

import (
	"encoding/json"
	"time"

	"github.com/roombus/roombus/room"
)

// The rooms and users of the tests, as in the golden files of package room.
var (
	at    = time.Date(2026, 1, 2, 15, 4, 5, 678901000, time.UTC)
	alice = room.User{ID: "alice", Username: "alice.a", Name: "Alice", Roles: []string{"admin"}, Attributes: map[string]any{"badge": json.Number("9007199254740993")}}
	bob   = room.User{ID: "bob"}
	full  = room.Room{
		ID: "r1", DisplayName: "Room One", SlugifiedName: "room-one", Type: room.PrivateGroup, Creator: alice,
		IsDefault: true, IsReadOnly: true, DisplaySystemMessages: true, Description: "the first",
		CustomFields: map[string]any{"limit": json.Number("12345678901234567890"), "nested": map[string]any{"a": "b"}},
		ParentRoomID: "r0", CreatedAt: at, MemberCount: 2, Version: 7,
	}
	bare = room.Room{ID: "r2", SlugifiedName: "r2", Type: room.Channel, Creator: bob, CreatedAt: at, MemberCount: 1, Version: 1}
)
