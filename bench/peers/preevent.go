package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/roombus/roombus/room"
)

// timeout bounds one gather. It is the timeout of a whole command in the room service. On a busy
// machine a shorter timeout would measure the machine.
const timeout = 5 * time.Second

// preEvent is the body that every peer carries: the pre-event of a user joining a room, made as the
// room service makes it.
func preEvent() ([]byte, error) {
	created := time.Date(2026, 3, 14, 9, 26, 53, 589793000, time.UTC)
	body, err := json.Marshal(room.Data{
		Room: room.Room{
			ID: "01957f0e-7c1a-7d7e-9f0b-3a5d1c2e4b6f", DisplayName: "Release planning", SlugifiedName: "release-planning",
			Type: room.PrivateGroup, Creator: room.User{ID: "alice", Username: "alice", Name: "Alice Liddell"},
			DisplaySystemMessages: true, Description: "What goes into the next release",
			CustomFields: map[string]any{"team": "platform"},
			CreatedAt:    created, MemberCount: 42, Version: 57,
		},
		JoiningUser: &room.User{ID: "bob", Username: "bob", Name: "Bob Roberts", Roles: []string{"user"}},
		Inviter:     &room.User{ID: "alice", Username: "alice", Name: "Alice Liddell"},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the pre-event: %w", err)
	}
	return body, nil
}

// decide is the app of every peer, including the roombus SDK: it reads the pre-event, lets the user
// in and writes the verdict.
func decide(body []byte) ([]byte, error) {
	var e room.UserJoin
	if err := room.DecodeLenient(body, &e); err != nil {
		return nil, err
	}
	return json.Marshal(room.Verdict{Verdict: room.Allow})
}

// verdict reads a reply. Every peer does this with each reply.
func verdict(reply []byte) (room.Verdict, error) {
	return room.ParseVerdict(room.PreRoomUserJoined, reply)
}
