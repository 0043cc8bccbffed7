package appworkertest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
)

// The handlers of updates see what the service would send, and may update rooms themselves.
func TestUpdates(t *testing.T) {
	t.Parallel()
	var told []string
	rooms := appworkertest.NewRooms()
	_, err := rooms.Create(t.Context(), room.CreateRequest{Room: room.NewRoom{ID: "r", SlugifiedName: "r", Type: room.Channel}, Creator: room.User{ID: "ada"}})
	require.NoError(t, err)
	app := appworkertest.NewWith(t, appworker.Manifest{
		ID: "app", Version: "1.0.0", When: map[room.Interface]string{room.PreRoomUpdatePrevent: `"displayName" in event.changed`},
	}, appworker.Handlers{
		PreRoomUpdatePrevent: func(_ context.Context, e room.Update) error {
			return room.Prevented("not " + e.After.DisplayName)
		},
		PreRoomUserUpdatePrevent: func(_ context.Context, e room.UserUpdate) error {
			if len(e.UserAfter.Roles) > len(e.UserBefore.Roles) {
				return room.Prevented("no more roles")
			}
			return nil
		},
		PostRoomUpdated: func(ctx context.Context, e room.Updated) error {
			told = append(told, e.Changed...)
			_, err := appworker.Rooms(ctx).UpdateMember(ctx, room.UpdateMemberRequest{RoomID: "r", User: room.Patch{"id": "ada", "name": "Ada"}})
			return err
		},
		PostRoomUserUpdated: func(ctx context.Context, e room.UserUpdated) error {
			told = append(told, e.Changed...)
			_, err := appworker.Rooms(ctx).Update(ctx, room.UpdateRequest{RoomID: "r", Patch: room.Patch{"isReadOnly": true}})
			return err
		},
	}).WithRooms(rooms)

	v, err := app.Ask(room.PreRoomUpdatePrevent, room.Update{Before: room.Room{ID: "r"}, After: room.Room{ID: "r", DisplayName: "x"}})
	require.NoError(t, err)
	assert.Equal(t, room.Verdict{Verdict: room.Deny, Reason: "not x"}, v)
	v, err = app.Ask(room.PreRoomUpdatePrevent, room.Update{Before: room.Room{ID: "r"}, After: room.Room{ID: "r", Description: "d"}})
	require.NoError(t, err)
	assert.Equal(t, room.Skip, v.Verdict, "its condition does not hold")
	v, err = app.Ask(room.PreRoomUserUpdatePrevent, room.UserUpdate{UserBefore: room.User{ID: "b"}, UserAfter: room.User{ID: "b", Roles: []string{"admin"}}})
	require.NoError(t, err)
	assert.Equal(t, room.Deny, v.Verdict)

	require.NoError(t, app.Tell(room.Updated{Update: room.Update{After: room.Room{DisplayName: "x"}}}))
	require.NoError(t, app.Tell(room.UserUpdated{UserUpdate: room.UserUpdate{UserBefore: room.User{ID: "b"}, UserAfter: room.User{ID: "b", Attributes: map[string]any{"a": 1}}}}))
	assert.Equal(t, []string{"displayName", "attributes.a"}, told)
	r, err := rooms.Get(t.Context(), "r")
	require.NoError(t, err)
	assert.True(t, r.IsReadOnly)
	page, err := rooms.Members(t.Context(), room.MembersRequest{RoomID: "r"})
	require.NoError(t, err)
	assert.Equal(t, "Ada", page.Members[0].Name)
}
