package commands_test

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

func TestPreRoomCreatePrevent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.Create]()
	b.Work(t, room.Manifest{ID: "guard"}, appworker.Handlers{PreRoomCreatePrevent: func(_ context.Context, e room.Create) error {
		saw.See(e)
		if e.Room.SlugifiedName == "secret" {
			return room.Prevented("no secrets")
		}
		return nil
	}})

	_, err := b.Client.Create(t.Context(), room.CreateRequest{
		Room: room.NewRoom{ID: "r1", SlugifiedName: "secret", Type: room.PrivateGroup}, Creator: scene.Alice, Members: []room.User{scene.Bob},
	})
	e := scene.ErrorOf(t, err)
	assert.Equal(t, room.CodePrevented, e.Code)
	assert.Equal(t, "guard", e.App)
	assert.Equal(t, "no secrets", e.Reason)
	require.Len(t, e.Apps, 1)
	assert.Equal(t, room.Denied, e.Apps[0].Outcome)
	assert.Equal(t, room.PreRoomCreatePrevent, e.Apps[0].Interface)

	asked := saw.One(t)
	assert.Equal(t, "r1", asked.Room.ID)
	assert.Equal(t, room.PrivateGroup, asked.Room.Type)
	assert.Equal(t, scene.Alice, asked.Room.Creator)
	assert.Equal(t, []room.User{scene.Alice, scene.Bob}, asked.Members)
	assert.Equal(t, 2, asked.Room.MemberCount)

	_, err = b.Client.Get(t.Context(), "r1")
	assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
	assert.Empty(t, b.Events(t))

	r := b.Create(t, "open")
	assert.True(t, r.Changed)
	assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
}

func TestPreRoomCreateExtend(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	extend := func(fields map[string]any, members ...room.User) appworker.Handlers {
		return appworker.Handlers{PreRoomCreateExtend: func(ctx context.Context, _ room.Create) (room.Extension, error) {
			appworker.Warn(ctx, "extended")
			return room.Extension{CustomFields: fields, Members: members}, nil
		}}
	}
	b.Work(t, room.Manifest{ID: "first", Order: new(1)}, extend(map[string]any{"topic": "go"}, scene.Bob))
	b.Work(t, room.Manifest{ID: "second", Order: new(2)}, extend(map[string]any{"topic": "rust", "lang": "en"}, room.User{ID: "dropped"}))
	b.Work(t, room.Manifest{ID: "third", Order: new(3)}, extend(map[string]any{"color": "blue"}, scene.Carol, scene.Bob))

	r := b.Create(t, "r1")
	assert.Equal(t, map[string]any{"topic": "go", "color": "blue"}, r.Room.CustomFields)
	assert.Equal(t, 3, r.Room.MemberCount)
	assert.Equal(t, []string{"extended", "extended"}, r.Warnings)
	require.Len(t, r.Apps, 3)
	assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
	assert.Equal(t, room.Failed, r.Apps[1].Outcome)
	assert.Contains(t, r.Apps[1].Reason, `"topic"`)
	assert.Equal(t, room.Allowed, r.Apps[2].Outcome)

	assert.Equal(t, []string{"bob", "carol", "owner"}, b.Members(t, "r1"), "members added by extend are members")
	events := b.Decoded(t)
	require.Len(t, events, 1, "no join events for the members of a creation")
	assert.Equal(t, []room.User{{ID: "owner"}, scene.Bob, scene.Carol}, events[0].Data.Members)
	assert.Equal(t, r.Room.CustomFields, events[0].Data.Room.CustomFields)
}

func TestPreRoomCreateModify(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.Create]()
	b.Work(t, room.Manifest{ID: "a"}, appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
		r := e.Room
		r.DisplayName, r.IsReadOnly = "A", true
		r.CustomFields = map[string]any{"kept": "yes"}
		return r, nil
	}})
	b.Work(t, room.Manifest{ID: "b"}, appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
		r := e.Room
		r.ID = "other"
		return r, nil
	}})
	b.Work(t, room.Manifest{ID: "c"}, appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
		saw.See(e)
		r := e.Room
		r.DisplayName += "C"
		r.Creator = scene.Carol
		return r, nil
	}})

	result, err := b.Client.Create(t.Context(), room.CreateRequest{
		Room:    room.NewRoom{ID: "r1", SlugifiedName: "r1", Type: room.Channel, CustomFields: map[string]any{"gone": 1}},
		Creator: scene.Alice,
	})
	require.NoError(t, err)
	assert.Equal(t, "A", saw.One(t).Room.DisplayName, "each app sees the room as the previous app left it")
	assert.Equal(t, "AC", result.Room.DisplayName)
	assert.Equal(t, scene.Carol, result.Room.Creator)
	assert.Equal(t, room.Failed, result.Apps[1].Outcome)
	assert.Contains(t, result.Apps[1].Reason, "id cannot be changed")

	stored, err := b.Client.Get(t.Context(), "r1")
	require.NoError(t, err)
	assert.Equal(t, result.Room, stored, "the result of modify is stored")
	assert.Equal(t, map[string]any{"kept": "yes"}, stored.CustomFields)
	assert.True(t, stored.IsReadOnly)
	assert.Equal(t, []string{"alice", "carol"}, b.Members(t, "r1"))
}

func TestPreRoomDeletePrevent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.Delete]()
	b.Work(t, room.Manifest{ID: "keeper"}, appworker.Handlers{PreRoomDeletePrevent: func(_ context.Context, e room.Delete) error {
		saw.See(e)
		if e.Room.IsDefault {
			return room.Prevented("the default room stays")
		}
		return nil
	}})
	r := harness.NewRoom("main")
	r.Room.IsDefault = true
	_, err := b.Client.Create(t.Context(), r)
	require.NoError(t, err)
	b.Create(t, "side")

	_, err = b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "main", DeletedBy: &scene.Alice})
	e := scene.ErrorOf(t, err)
	assert.Equal(t, room.CodePrevented, e.Code)
	assert.Equal(t, "the default room stays", e.Reason)
	asked := saw.One(t)
	assert.Equal(t, "main", asked.Room.ID)
	assert.Equal(t, &scene.Alice, asked.DeletedBy)
	_, err = b.Client.Get(t.Context(), "main")
	require.NoError(t, err)

	gone, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "side"})
	require.NoError(t, err)
	assert.True(t, gone.Changed)
	assert.Nil(t, saw.One(t).DeletedBy)
	_, err = b.Client.Get(t.Context(), "side")
	assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
}

func TestPreRoomUserJoined(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.UserJoin]()
	b.Work(t, room.Manifest{ID: "guard"}, appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
		saw.See(e)
		if e.JoiningUser.ID == "bob" {
			return room.UserNotAllowed("you are banned here")
		}
		return nil
	}})
	r := harness.NewRoom("r1")
	r.Members = []room.User{scene.Carol}
	_, err := b.Client.Create(t.Context(), r)
	require.NoError(t, err)
	saw.None(t) // members of a creation do not join

	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r1", User: scene.Bob})
	e := scene.ErrorOf(t, err)
	assert.Equal(t, room.CodeUserNotAllowed, e.Code)
	assert.Equal(t, "guard", e.App)
	assert.Equal(t, "you are banned here", e.Reason)
	assert.Equal(t, 2, saw.One(t).Room.MemberCount, "the app sees the room before the change")
	assert.Equal(t, []string{"carol", "owner"}, b.Members(t, "r1"))

	joined, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r1", User: scene.Alice, Inviter: &scene.Carol})
	require.NoError(t, err)
	assert.True(t, joined.Changed)
	assert.Equal(t, 3, joined.Room.MemberCount)
	asked := saw.One(t)
	assert.Equal(t, scene.Alice, asked.JoiningUser)
	assert.Equal(t, &scene.Carol, asked.Inviter)

	again, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r1", User: scene.Alice})
	require.NoError(t, err)
	assert.False(t, again.Changed)
	assert.Nil(t, again.Event)
	saw.None(t) // the app is not asked
	assert.Len(t, b.Events(t), 2)
}

func TestPreRoomUserLeave(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[room.UserLeave]()
	b.Work(t, room.Manifest{ID: "jail"}, appworker.Handlers{PreRoomUserLeave: func(_ context.Context, e room.UserLeave) error {
		saw.See(e)
		if e.LeavingUser.ID == "bob" {
			return room.UserNotAllowed("stay")
		}
		return nil
	}})
	r := harness.NewRoom("r1")
	r.Members = []room.User{scene.Alice, scene.Bob}
	_, err := b.Client.Create(t.Context(), r)
	require.NoError(t, err)

	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r1", User: scene.Bob})
	e := scene.ErrorOf(t, err)
	assert.Equal(t, room.CodeUserNotAllowed, e.Code)
	assert.Equal(t, "stay", e.Reason)
	saw.One(t)

	left, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r1", User: scene.Alice, RemovedBy: &scene.Carol})
	require.NoError(t, err)
	assert.True(t, left.Changed)
	assert.Equal(t, 2, left.Room.MemberCount)
	asked := saw.One(t)
	assert.Equal(t, scene.Alice, asked.LeavingUser)
	assert.Equal(t, &scene.Carol, asked.RemovedBy)

	never, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r1", User: scene.Carol})
	require.NoError(t, err)
	assert.False(t, never.Changed)
	saw.None(t)
	assert.Equal(t, []string{"bob", "owner"}, b.Members(t, "r1"))
}
