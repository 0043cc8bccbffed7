package commands_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

func TestCommand_SentAgainTakesEffectOnce(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "warner", Implements: []room.Interface{room.PreRoomUserJoined}})
	b.Answer(t, room.PreRoomUserJoined, "warner", harness.Says(`{"verdict":"allow","warnings":["mind the step"]}`))

	created, err := b.Client.Create(t.Context(), harness.NewRoom("r"), roomclient.WithID("c1"))
	require.NoError(t, err)
	again, err := b.Client.Create(t.Context(), harness.NewRoom("r"), roomclient.WithID("c1"))
	require.NoError(t, err, "not room_exists")
	assert.Equal(t, created, again)

	joined, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c2"))
	require.NoError(t, err)
	assert.Equal(t, []string{"mind the step"}, joined.Warnings)
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c3"))
	require.NoError(t, err)
	again, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c2"))
	require.NoError(t, err)
	assert.Equal(t, joined, again, "the same result, also after other commands")
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
	assert.Len(t, b.Events(t), 3)

	// Another service, and a service that starts later, give the same answer.
	nc := harness.Connect(t, b.Server)
	require.NoError(t, b.Service.Stop(t.Context()))
	harness.Serve(t, nc, roomsvc.Config{})
	again, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c2"))
	require.NoError(t, err)
	assert.Equal(t, joined, again)
	assert.Len(t, b.Events(t), 3)
}

func TestCommand_SameIDForAnotherIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Create(t, "s")
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c1"))
	require.NoError(t, err)
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "s", User: scene.Alice}, roomclient.WithID("c1"))
	assert.Equal(t, room.CodeInvalidRequest, scene.ErrorOf(t, err).Code)
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c1"))
	assert.Equal(t, room.CodeInvalidRequest, scene.ErrorOf(t, err).Code)
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob}, roomclient.WithID("c1"))
	assert.Equal(t, room.CodeInvalidRequest, scene.ErrorOf(t, err).Code, "the reused id does not return the other command's result")
}

func TestCreate_WithoutRoomIDSentAgainCreatesOneRoom(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for range 2 {
		r, err := b.Client.Create(t.Context(), harness.NewRoom(""), roomclient.WithID("c1"))
		require.Error(t, err, "the name is missing too")
		_ = r
		req := harness.NewRoom("")
		req.Room.SlugifiedName = "n"
		r, err = b.Client.Create(t.Context(), req, roomclient.WithID("c1"))
		require.NoError(t, err)
		assert.Equal(t, "c1", r.Room.ID)
	}
	assert.Len(t, b.Events(t), 1)
}

// Many clients send commands for one room to three services. An app limits the number of members.
// No command is lost or takes effect twice, and the limit holds.
func TestServices_ConcurrentCommandsOnOneRoom(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	for range 2 {
		harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{Budget: time.Minute})
	}
	b.Create(t, "hot")
	const limit = 40
	b.Register(t, room.Manifest{ID: "limiter", Implements: []room.Interface{room.PreRoomUserJoined}, Essentials: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(room.MaxTimeoutMs)})
	b.Answer(t, room.PreRoomUserJoined, "limiter", func(msg *nats.Msg) {
		var e room.UserJoin
		_ = room.DecodeLenient(msg.Data, &e)
		if e.Room.MemberCount >= limit {
			_ = msg.Respond([]byte(`{"verdict":"deny","reason":"full"}`))
			return
		}
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	var joins sync.WaitGroup
	var mu sync.Mutex
	var joined, full int
	for n := range 80 {
		joins.Go(func() {
			_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "hot", User: room.User{ID: "u" + strconv.Itoa(n)}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				joined++
			} else if assert.ErrorIs(t, err, &room.Error{Code: room.CodeUserNotAllowed}) {
				full++
			}
		})
	}
	joins.Wait()
	assert.Equal(t, limit-1, joined, "the owner is one of them")
	assert.Equal(t, 80-joined, full)
	events := b.Decoded(t)
	assert.Len(t, events, limit)
	scene.RequireChained(t, events)
	// The three services have the same members.
	for range 20 {
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "hot", User: room.User{ID: "owner"}})
		require.NoError(t, err)
		assert.Equal(t, limit, r.Room.MemberCount)
	}
}

// The answer of one service never contradicts a change that another has acknowledged.
func TestServices_AnswersAreLinearizable(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	for n := range 100 {
		id := fmt.Sprintf("r%d", n)
		b.Create(t, id)
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: id, User: scene.Alice})
		require.NoError(t, err, "the room is there")
		require.True(t, r.Changed)
		r, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: id, User: scene.Alice})
		require.NoError(t, err)
		require.False(t, r.Changed, "alice is a member")
		_, err = b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: id})
		require.NoError(t, err)
		_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: id, User: scene.Alice})
		require.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
	}
	scene.RequireChained(t, b.Decoded(t))
}

// The same command sent to several services at once makes one event and has one result.
func TestServices_SameCommandAtOnceTakesEffectOnce(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for range 2 {
		harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	}
	b.Create(t, "r")
	for n := range 20 {
		id := fmt.Sprintf("same-%d", n)
		results := make([]room.Result, 8)
		var sent sync.WaitGroup
		for k := range results {
			sent.Go(func() {
				r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: id}}, roomclient.WithID(id))
				if assert.NoError(t, err) {
					results[k] = r
				}
			})
		}
		sent.Wait()
		for _, r := range results {
			require.Equal(t, results[0], r)
		}
		require.True(t, results[0].Changed)
	}
	assert.Len(t, b.Events(t), 21)
}
