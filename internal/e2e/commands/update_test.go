package commands_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// told returns the only event of the room's update, as stored.
func told(t *testing.T, b *harness.Bus, e room.EventType) room.Event {
	t.Helper()
	events := b.Decoded(t)
	last := events[len(events)-1]
	require.Equal(t, e, last.Type)
	return last
}

func TestUpdate_OnTheWire(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r1")
	b.Register(t, room.Manifest{ID: "spy", Implements: []room.Interface{room.PreRoomUpdatePrevent}})
	asked := make(chan *nats.Msg, 1)
	b.Answer(t, room.PreRoomUpdatePrevent, "spy", func(msg *nats.Msg) {
		asked <- msg
		_ = msg.Respond([]byte(`{"verdict":"allow","warnings":["renamed"]}`))
	})
	reply := b.Request(t, "room.svc.update",
		`{"roomId":"r1","patch":{"displayName":"Lounge","customFields":{"topic":"sofas"}},"updatedBy":{"id":"owner"},"ifVersion":1}`)
	var result room.Result
	require.NoError(t, json.Unmarshal(reply.Data, &result))
	assert.True(t, result.Changed)
	assert.Equal(t, "Lounge", result.Room.DisplayName)
	assert.EqualValues(t, 2, result.Room.Version)
	assert.Equal(t, []string{"renamed"}, result.Warnings)

	var pre room.Data
	msg := <-asked
	assert.Equal(t, "room.pre.update.spy", msg.Subject)
	require.NoError(t, json.Unmarshal(msg.Data, &pre))
	assert.EqualValues(t, 1, pre.Room.Version, "the room before the change")
	assert.Equal(t, pre.Room, *pre.Before)
	assert.Equal(t, "Lounge", pre.After.DisplayName)
	assert.EqualValues(t, 2, pre.After.Version)
	assert.Equal(t, []string{"displayName", "customFields.topic"}, pre.Changed)
	assert.Equal(t, "owner", pre.UpdatedBy.ID)

	stored := b.Events(t)
	assert.Equal(t, "room.post.update.r1", stored[1].Subject)
	post := told(t, b, room.EventUpdate)
	assert.Equal(t, result.Room.DisplayName, post.Data.Room.DisplayName)
	assert.Equal(t, post.Data.Room, *post.Data.After)
	assert.Empty(t, post.Data.Before.DisplayName)
	assert.Equal(t, pre.Changed, post.Data.Changed)
	assert.Equal(t, "spy", post.Data.Apps[0].App)

	for name, c := range map[string]struct{ body, says string }{
		"the same again":  {`{"roomId":"r1","patch":{"displayName":"Lounge"}}`, `"changed":false`},
		"nothing":         {`{"roomId":"r1","patch":{}}`, `"changed":false`},
		"another version": {`{"roomId":"r1","patch":{"displayName":"x"},"ifVersion":1}`, `"code":"conflict"`},
		"no room":         {`{"roomId":"r9","patch":{}}`, `"code":"room_not_found"`},
		"a fixed field":   {`{"roomId":"r1","patch":{"version":9}}`, `patch.version cannot be changed`},
		"no patch":        {`{"roomId":"r1"}`, `patch is required`},
		"another kind":    {`{"roomId":"r1","patch":{"type":"live_chat"}}`, `a channel cannot become a live_chat`},
	} {
		assert.Contains(t, string(b.Request(t, "room.svc.update", c.body).Data), c.says, name)
	}
	var e *room.Error
	_, err := b.Client.Update(t.Context(), room.UpdateRequest{RoomID: "r1", Patch: room.Patch{"displayName": "x"}, IfVersion: 7})
	require.ErrorAs(t, err, &e)
	assert.EqualValues(t, 2, e.Version, "the client need not read the room to know its version")
	assert.Len(t, b.Events(t), 2, "a refused update, or one that changes nothing, makes no event")
}

func TestUpdateMember_OnTheWire(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r1")
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r1", User: room.User{ID: "bob", Name: "Bob", Roles: []string{"user"}, Attributes: map[string]any{"level": 1}}})
	require.NoError(t, err)
	b.Register(t, room.Manifest{
		ID: "roles", Implements: []room.Interface{room.PreRoomUserUpdatePrevent},
		When: map[room.Interface]string{room.PreRoomUserUpdatePrevent: `"admin" in after.roles && !("admin" in before.roles)`},
	})
	b.Answer(t, room.PreRoomUserUpdatePrevent, "roles", harness.Says(`{"verdict":"deny","reason":"only the owner makes admins"}`))
	update := func(user string) *nats.Msg {
		return b.Request(t, "room.svc.updatemember", `{"roomId":"r1","user":`+user+`,"updatedBy":{"id":"owner"}}`)
	}
	scene.Refused(t, update(`{"id":"bob","roles":["admin"]}`), room.CodePrevented)
	assert.Contains(t, string(update(`{"id":"bob","roles":["moderator"],"attributes":{"level":null,"badge":7}}`).Data), `"changed":true`)
	scene.Refused(t, update(`{"id":"zoe","name":"Zoe"}`), room.CodeMemberNotFound)
	scene.Refused(t, update(`{"name":"Zoe"}`), room.CodeInvalidRequest)
	assert.Contains(t, string(update(`{"id":"bob","name":"Bob"}`).Data), `"changed":false`)

	want := room.User{ID: "bob", Name: "Bob", Roles: []string{"moderator"}, Attributes: map[string]any{"badge": json.Number("7")}}
	page, err := b.Client.Members(t.Context(), room.MembersRequest{RoomID: "r1"})
	require.NoError(t, err)
	assert.Equal(t, want, page.Members[0])
	stored := b.Events(t)
	require.Len(t, stored, 3)
	assert.Equal(t, "room.post.userupdate.r1", stored[2].Subject)
	e := told(t, b, room.EventUserUpdate)
	assert.Equal(t, want, *e.Data.UserAfter)
	assert.Equal(t, []string{"user"}, e.Data.UserBefore.Roles)
	assert.Equal(t, []string{"roles", "attributes.badge", "attributes.level"}, e.Data.Changed)
	assert.EqualValues(t, 3, e.Data.Room.Version)
	rejection := b.Rejections(t, 1)[0]
	assert.Equal(t, "updatemember", rejection.Command)
	assert.Equal(t, "bob", rejection.User)
}

type updates struct {
	before chan any
	after  chan any
}

func (u updates) PreRoomUpdatePrevent(_ context.Context, e room.Update) error {
	u.before <- e
	return nil
}

func (u updates) PreRoomUserUpdatePrevent(_ context.Context, e room.UserUpdate) error {
	u.before <- e
	return nil
}

func (u updates) PostRoomUpdated(_ context.Context, e room.Updated) error {
	u.after <- e
	return nil
}

func (u updates) PostRoomUserUpdated(_ context.Context, e room.UserUpdated) error {
	u.after <- e
	return nil
}

// A worker is asked about updates and told of them, in the order of the room. After a restart the
// service has the updated room and member.
func TestUpdate_WorkerAndRestart(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	u := updates{before: make(chan any, 2), after: make(chan any, 2)}
	b.Work(t, room.Manifest{ID: "app"}, u)
	b.Create(t, "r1")
	_, err := b.Client.Update(t.Context(), room.UpdateRequest{RoomID: "r1", Patch: room.Patch{"isReadOnly": true}})
	require.NoError(t, err)
	_, err = b.Client.UpdateMember(t.Context(), room.UpdateMemberRequest{RoomID: "r1", User: room.Patch{"id": "owner", "name": "O."}})
	require.NoError(t, err)
	assert.True(t, (<-u.before).(room.Update).After.IsReadOnly)
	assert.Equal(t, "O.", (<-u.before).(room.UserUpdate).UserAfter.Name)
	updated := (<-u.after).(room.Updated)
	assert.True(t, updated.After.IsReadOnly)
	assert.False(t, updated.Before.IsReadOnly)
	assert.EqualValues(t, 2, updated.Event.Version)
	member := (<-u.after).(room.UserUpdated)
	assert.Equal(t, "O.", member.UserAfter.Name)
	assert.Equal(t, []string{"name"}, member.Changed)
	assert.EqualValues(t, 3, member.Room.Version)

	hash := b.EndpointData(t).ProjectionHash
	require.NoError(t, b.Service.Stop(t.Context()))
	for _, from := range []string{"snapshot", "stream"} {
		if from == "stream" {
			require.NoError(t, b.JS.DeleteObjectStore(t.Context(), subjects.Snapshots))
		}
		service := harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
		r, err := b.Client.Get(t.Context(), "r1")
		require.NoError(t, err)
		assert.True(t, r.IsReadOnly, from)
		assert.Equal(t, hash, b.EndpointData(t).ProjectionHash, from)
		require.NoError(t, service.Stop(t.Context()))
	}
}
