package appworkertest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

func TestRooms_DecideAsTheServiceDoes(t *testing.T) {
	t.Parallel()
	ctx, rooms := t.Context(), appworkertest.NewRooms()
	harbor := room.CreateRequest{
		Room:    room.NewRoom{ID: "harbor", SlugifiedName: "harbor", Type: room.Channel, CustomFields: map[string]any{"max": 5}},
		Creator: room.User{ID: "ann"}, Members: []room.User{{ID: "bob"}},
	}
	made, err := rooms.Create(ctx, harbor, roomclient.WithID("c1"))
	require.NoError(t, err)
	assert.True(t, made.Changed)
	assert.Equal(t, "c1", made.Event.ID)
	again, err := rooms.Create(ctx, harbor, roomclient.WithID("c1"))
	require.NoError(t, err)
	assert.Equal(t, made, again, "a command that is sent again is done once")
	_, err = rooms.Create(ctx, harbor)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeRoomExists})
	_, err = rooms.Join(ctx, room.JoinRequest{RoomID: "harbor", User: room.User{ID: "carol"}}, roomclient.WithID("c1"))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, "the id of another command")

	joined, err := rooms.Join(ctx, room.JoinRequest{RoomID: "harbor", User: room.User{ID: "carol"}})
	require.NoError(t, err)
	assert.EqualValues(t, 2, joined.Room.Version)
	assert.Equal(t, 3, joined.Room.MemberCount)
	joined, err = rooms.Join(ctx, room.JoinRequest{RoomID: "harbor", User: room.User{ID: "carol"}})
	require.NoError(t, err)
	assert.False(t, joined.Changed)
	_, err = rooms.Leave(ctx, room.LeaveRequest{RoomID: "harbor", User: room.User{ID: "bob"}})
	require.NoError(t, err)
	page, err := rooms.Members(ctx, room.MembersRequest{RoomID: "harbor", Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, room.MemberPage{Members: []room.User{{ID: "ann"}}, Cursor: "ann"}, page)
	page, err = rooms.Members(ctx, room.MembersRequest{RoomID: "harbor", Limit: 1, Cursor: page.Cursor})
	require.NoError(t, err)
	assert.Equal(t, room.MemberPage{Members: []room.User{{ID: "carol"}}}, page)
	r, err := rooms.Get(ctx, "harbor")
	require.NoError(t, err)
	limit, _, err := room.Int(r.CustomFields, "max")
	require.NoError(t, err)
	assert.EqualValues(t, 5, limit)

	_, err = rooms.Delete(ctx, room.DeleteRequest{RoomID: "harbor"})
	require.NoError(t, err)
	_, err = rooms.Get(ctx, "harbor")
	require.ErrorIs(t, err, &room.Error{Code: room.CodeRoomNotFound})
	_, err = rooms.Leave(ctx, room.LeaveRequest{RoomID: "harbor", User: room.User{ID: "ann"}})
	require.ErrorIs(t, err, &room.Error{Code: room.CodeRoomNotFound})
	_, err = rooms.Join(ctx, room.JoinRequest{RoomID: "a.b", User: room.User{ID: "ann"}})
	require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = rooms.Create(ended, harbor)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
}
