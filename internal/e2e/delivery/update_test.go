package delivery_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// rename gives the room a name.
func rename(t *testing.T, b *harness.Bus, name string) {
	t.Helper()
	_, err := b.Client.Update(t.Context(), room.UpdateRequest{RoomID: "r", Patch: room.Patch{"displayName": name}})
	require.NoError(t, err)
}

// An app that does not implement updates is not told of them, and does not wait for them. An event
// of an update that an app cannot handle becomes a dead letter.
func TestUpdate_Delivery(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	joins, all := scene.NewSeen[string](), scene.NewSeen[string]()
	b.Work(t, room.Manifest{ID: "joins"}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		joins.See(e.JoiningUser.ID)
		return nil
	}})
	b.Work(t, room.Manifest{ID: "all"}, appworker.Handlers{
		PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
			all.See(e.JoiningUser.ID)
			return nil
		},
		PostRoomUpdated: func(_ context.Context, e room.Updated) error {
			all.See(e.After.DisplayName)
			if e.After.DisplayName == "poison" {
				return appworker.Discard(errors.New("bad name"))
			}
			return nil
		},
		PostRoomUserUpdated: func(_ context.Context, e room.UserUpdated) error {
			all.See(e.UserAfter.Name)
			return nil
		},
	})
	scene.JoinEach(t, b, "r", "alice")
	rename(t, b, "poison")
	rename(t, b, "lounge")
	_, err := b.Client.UpdateMember(t.Context(), room.UpdateMemberRequest{RoomID: "r", User: room.Patch{"id": "alice", "name": "Alice"}})
	require.NoError(t, err)
	scene.JoinEach(t, b, "r", "bob")
	for _, want := range []string{"alice", "poison", "lounge", "Alice", "bob"} {
		assert.Equal(t, want, all.One(t))
	}
	for _, want := range []string{"alice", "bob"} {
		assert.Equal(t, want, joins.One(t))
	}
	b.RequireDrained(t, "joins")
	joins.None(t)
	letters, stored := scene.DeadLetters(t, b, 1)
	assert.Equal(t, room.EventUpdate, letters[0].Event)
	assert.Equal(t, "room.dead.all.update.r", stored[0].Subject)
}
