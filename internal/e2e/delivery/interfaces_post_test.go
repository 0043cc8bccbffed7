package delivery_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

func TestPostRoomCreate(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.Created]()
	b.Work(t, room.Manifest{ID: "furnish"}, appworker.Handlers{PreRoomCreateExtend: func(context.Context, room.Create) (room.Extension, error) {
		return room.Extension{Members: []room.User{scene.Carol}}, nil
	}})
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomCreate: func(_ context.Context, e room.Created) error {
		saw.See(e)
		return nil
	}})
	r := harness.NewRoom("r1")
	r.Members = []room.User{scene.Bob}
	result, err := b.Client.Create(t.Context(), r)
	require.NoError(t, err)

	e := saw.One(t)
	assert.Equal(t, *result.Event, e.Event)
	assert.Equal(t, result.Room, e.Room)
	assert.Equal(t, []room.User{{ID: "owner"}, scene.Bob, scene.Carol}, e.Members, "extended members included")
	assert.Equal(t, result.Apps, e.Apps, "the event has the verdict of every app")

	events := b.Events(t)
	require.Len(t, events, 1)
	assert.Equal(t, "room.post.create.r1", events[0].Subject)
}

func TestPostRoomDeleted(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.Deleted]()
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomDeleted: func(_ context.Context, e room.Deleted) error {
		saw.See(e)
		return nil
	}})
	b.Create(t, "r1")
	result, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "r1", DeletedBy: &scene.Alice})
	require.NoError(t, err)
	assert.Equal(t, uint64(2), result.Event.Version)

	e := saw.One(t)
	assert.Equal(t, "r1", e.Room.ID)
	assert.Equal(t, uint64(2), e.Room.Version)
	assert.Equal(t, &scene.Alice, e.DeletedBy)
	assert.Equal(t, *result.Event, e.Event)

	again := b.Create(t, "r1")
	assert.Equal(t, uint64(1), again.Event.Version, "a recreated room begins at version 1")
	assert.Equal(t, []string{"owner"}, b.Members(t, "r1"))
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r1", User: scene.Bob})
	require.NoError(t, err)
}

func TestPostRoomUserJoined(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.UserJoined]()
	b.Work(t, room.Manifest{ID: "greeter"}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e)
		return nil
	}})
	r := harness.NewRoom("r1")
	r.Members = []room.User{scene.Carol}
	_, err := b.Client.Create(t.Context(), r)
	require.NoError(t, err)
	result, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r1", User: scene.Alice, Inviter: &scene.Bob})
	require.NoError(t, err)

	e := saw.One(t)
	assert.Equal(t, scene.Alice, e.JoiningUser, "the first join is alice's: carol was there from the start")
	assert.Equal(t, &scene.Bob, e.Inviter)
	assert.Equal(t, 3, e.Room.MemberCount)
	assert.Equal(t, *result.Event, e.Event)
	saw.None(t)
	events := b.Events(t)
	require.Len(t, events, 2)
	assert.Equal(t, "room.post.userjoin.r1", events[1].Subject)
}

func TestPostRoomUserLeave(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.UserLeft]()
	b.Work(t, room.Manifest{ID: "greeter"}, appworker.Handlers{PostRoomUserLeave: func(_ context.Context, e room.UserLeft) error {
		saw.See(e)
		return nil
	}})
	b.Create(t, "r1")
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r1", User: scene.Alice})
	require.NoError(t, err)
	result, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r1", User: scene.Alice, RemovedBy: &scene.Bob})
	require.NoError(t, err)

	e := saw.One(t)
	assert.Equal(t, scene.Alice, e.LeavingUser)
	assert.Equal(t, &scene.Bob, e.RemovedBy)
	assert.Equal(t, 1, e.Room.MemberCount)
	assert.Equal(t, *result.Event, e.Event)
	assert.Equal(t, "room.post.userleave.r1", b.Events(t)[2].Subject)
}
