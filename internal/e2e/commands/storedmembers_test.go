package commands_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// populated makes a room x whose members have names and roles.
func populated(t *testing.T, b *harness.Bus) (eve, root room.User) {
	t.Helper()
	eve = room.User{ID: "eve", Name: "Eve", Roles: []string{"guest"}, Attributes: map[string]any{"team": "red"}}
	root = room.User{ID: "root", Name: "Root", Roles: []string{"admin"}}
	request := harness.NewRoom("x")
	request.Members = []room.User{eve, root}
	_, err := b.Client.Create(t.Context(), request)
	require.NoError(t, err)
	return eve, root
}

// The client's data of a member is ignored: in conditions, in pre-events, and in the
// event.
func TestStoredMembers_LeaveCarriesTheStoredUser(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	eve, root := populated(t, b)
	leaving := []room.Interface{room.PreRoomUserLeave}
	b.Register(t, room.Manifest{
		ID: "exit", Implements: leaving, Essentials: leaving,
		When: map[room.Interface]string{room.PreRoomUserLeave: `!("admin" in user.roles) && !("admin" in actor.roles)`},
	})
	scene.Refused(t, b.Request(t, "room.svc.leave", `{"roomId":"x","user":{"id":"eve","roles":["admin"]}}`), room.CodeEssentialAppUnavailable)
	scene.Refused(t, b.Request(t, "room.svc.leave", `{"roomId":"x","user":{"id":"eve"},"removedBy":{"id":"owner","roles":["admin"]}}`), room.CodeEssentialAppUnavailable)
	assert.Contains(t, string(b.Request(t, "room.svc.leave", `{"roomId":"x","user":{"id":"eve","name":"Nobody"},"removedBy":{"id":"root","name":"R"}}`).Data), `"changed":true`)
	assert.Contains(t, string(b.Request(t, "room.svc.leave", `{"roomId":"x","user":{"id":"root"}}`).Data), `"changed":true`)
	events := b.Decoded(t)
	require.Len(t, events, 3)
	assert.Equal(t, &eve, events[1].Data.LeavingUser)
	assert.Equal(t, &root, events[1].Data.RemovedBy)
	assert.Equal(t, &root, events[2].Data.LeavingUser)
}

func TestStoredMembers_InviterAndDeleterAreTheStoredOnes(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	eve, root := populated(t, b)
	stranger := room.User{ID: "stranger", Name: "S"}
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "x", User: scene.Alice, Inviter: &room.User{ID: "eve", Roles: []string{"admin"}}})
	require.NoError(t, err)
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "x", User: scene.Bob, Inviter: &stranger})
	require.NoError(t, err)
	_, err = b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "x", DeletedBy: &room.User{ID: "root", Name: "Somebody"}})
	require.NoError(t, err)
	events := b.Decoded(t)
	require.Len(t, events, 4)
	assert.Equal(t, &eve, events[1].Data.Inviter)
	assert.Equal(t, &stranger, events[2].Data.Inviter, "the data of a user that is no member comes from the client")
	assert.Equal(t, &root, events[3].Data.DeletedBy)
}

// A user's record is bounded, so that no event is ever too large for its users: a user that could
// join can leave, and a member is never cut for conditions and apps.
func TestStoredMembers_LargestUsersCanLeaveAndNoneIsCut(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	b.Create(t, "r")
	largest := func(id string) room.User {
		return room.User{ID: id, Name: strings.Repeat("<", 20_000), Roles: []string{"guest"}, Attributes: map[string]any{"x": strings.Repeat("x", 140_000)}}
	}
	eve, bob := largest("eve"), largest("bob")
	for _, u := range []room.User{eve, bob} {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: u})
		require.NoError(t, err)
	}
	tooLarge := largest("mallory")
	tooLarge.Attributes["y"] = strings.Repeat("y", 3_000)
	leaving := []room.Interface{room.PreRoomUserLeave}
	b.Register(t, room.Manifest{ID: "exit", Implements: leaving, TimeoutMs: new(room.MaxTimeoutMs), When: map[room.Interface]string{room.PreRoomUserLeave: `"guest" in actor.roles && actor != user`}})
	b.Answer(t, room.PreRoomUserLeave, "exit", harness.Says(scene.Denies))
	_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: bob, RemovedBy: &room.User{ID: "eve"}})
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUserNotAllowed})
	for subject, request := range map[string]any{
		"room.svc.join":   room.JoinRequest{RoomID: "r", User: tooLarge},
		"room.svc.leave":  room.LeaveRequest{RoomID: "r", User: bob, RemovedBy: &tooLarge},
		"room.svc.delete": room.DeleteRequest{RoomID: "r", DeletedBy: &tooLarge},
		"room.svc.create": room.CreateRequest{Room: room.NewRoom{ID: "n", SlugifiedName: "n", Type: room.Channel}, Creator: scene.Alice, Members: []room.User{tooLarge}},
	} {
		body, err := json.Marshal(request)
		require.NoError(t, err)
		e := refusedRequest(t, b, subject, body)
		assert.Contains(t, e.Message, "bytes of JSON; at most 262144 are allowed", subject)
	}
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: room.User{ID: "bob"}})
	require.NoError(t, err)
	_, err = b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "r", DeletedBy: &room.User{ID: "eve"}})
	require.NoError(t, err)
	events := b.Decoded(t)
	assert.Equal(t, &bob, events[3].Data.LeavingUser)
	assert.Equal(t, &eve, events[4].Data.DeletedBy)
}

func refusedRequest(t *testing.T, b *harness.Bus, subject string, body []byte) room.Error {
	t.Helper()
	return scene.Refused(t, b.Request(t, subject, string(body)), room.CodeTooLarge)
}

// The event of a deletion lists the former members.
func TestFormerMembers_InTheEventOfADeletion(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	eve, root := populated(t, b)
	deleted := scene.NewSeen[room.Deleted]()
	asked := scene.NewSeen[room.Delete]()
	b.Work(t, room.Manifest{ID: "undertaker"}, undertaker{asked, deleted})
	_, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "x"})
	require.NoError(t, err)
	asked.One(t)
	e := deleted.One(t)
	assert.Equal(t, []room.User{eve, {ID: "owner"}, root}, e.Members)
	assert.Equal(t, 3, e.Room.MemberCount)
}

// Members that do not fit in a message are left out. The room has their total number.
func TestFormerMembers_AreBounded(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	for roomID, c := range map[string]struct{ members, attribute, atMost int }{
		"many":  {room.MaxNewMembers, 0, room.MaxFormerMembers},
		"large": {40, 20 << 10, 48},
	} {
		request := harness.NewRoom(roomID)
		for n := range c.members {
			u := room.User{ID: fmt.Sprintf("u%05d", n)}
			if c.attribute > 0 {
				u.Attributes = map[string]any{"x": strings.Repeat("x", c.attribute)}
			}
			request.Members = append(request.Members, u)
		}
		_, err := b.Client.Create(t.Context(), request)
		require.NoError(t, err)
		for n := range 20 { // more than a creation may have
			joiner := room.User{ID: "z" + strconv.Itoa(n)}
			if c.attribute > 0 {
				joiner.Attributes = map[string]any{"x": strings.Repeat("x", c.attribute)}
			}
			_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: joiner})
			require.NoError(t, err)
		}
		_, err = b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: roomID})
		require.NoError(t, err)
		events := b.Decoded(t)
		data := events[len(events)-1].Data
		assert.Equal(t, c.members+21, data.Room.MemberCount)
		assert.LessOrEqual(t, len(data.Members), c.atMost, roomID)
		assert.Greater(t, len(data.Members), c.atMost*9/10, roomID)
		assert.IsIncreasing(t, userIDs(data.Members))
	}
}

func userIDs(users []room.User) []string {
	ids := make([]string, 0, len(users))
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return ids
}

// undertaker is asked before deletions and gets their events.
type undertaker struct {
	asked scene.Seen[room.Delete]
	told  scene.Seen[room.Deleted]
}

func (u undertaker) PreRoomDeletePrevent(_ context.Context, e room.Delete) error {
	u.asked.See(e)
	return nil
}

func (u undertaker) PostRoomDeleted(_ context.Context, e room.Deleted) error {
	u.told.See(e)
	return nil
}
