package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// An app is asked if its condition holds. Otherwise it is skipped, and its state does not matter.
func TestConditions(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, Essentials: scene.OnJoin, TimeoutMs: new(20), When: map[room.Interface]string{
		room.PreRoomUserJoined: `user.id.startsWith("bot-") && actor.id == "ops" && room.memberCount < 3 && event.type == "userjoin"`,
	}})
	r, err := scene.Join(t, b, "alice")
	require.NoError(t, err, "the app has no worker, but its condition is false for alice")
	assert.Equal(t, room.Skipped, r.Apps[0].Outcome)
	assert.Equal(t, "its condition does not hold", r.Apps[0].Reason)
	bot := room.JoinRequest{RoomID: "r", User: room.User{ID: "bot-1"}, Inviter: &room.User{ID: "ops"}}
	_, err = b.Client.Join(t.Context(), bot)
	assert.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, err).Code)
	_, err = b.Client.DisableApp(t.Context(), "guard")
	require.NoError(t, err)
	_, err = scene.Join(t, b, "bob")
	require.NoError(t, err, "the app is disabled, but its condition is false for bob")
	_, err = b.Client.Join(t.Context(), bot)
	require.NoError(t, err, "now there are three members")
	app, err := b.Client.App(t.Context(), "guard")
	require.NoError(t, err)
	assert.EqualValues(t, 1, app.State.Calls)
	assert.EqualValues(t, 3, app.State.Skipped)
}

// In the chain, a condition sees the room as the earlier apps have changed it.
func TestCondition_SeesTheDraft(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	modify := []room.Interface{room.PreRoomCreateModify}
	b.Register(t, room.Manifest{ID: "a", Implements: modify})
	b.Answer(t, room.PreRoomCreateModify, "a", harness.Says(`{"verdict":"allow","modify":{"customFields":{"tier":"gold"}}}`))
	b.Register(t, room.Manifest{ID: "b", Implements: modify, When: map[room.Interface]string{room.PreRoomCreateModify: `room.customFields.tier == "gold" && size(event.members) == 1`}})
	b.Answer(t, room.PreRoomCreateModify, "b", harness.Says(`{"verdict":"allow","modify":{"description":"for gold"}}`))
	assert.Equal(t, "for gold", b.Create(t, "r").Room.Description)
}

// If a condition cannot be evaluated, the app is not skipped, because a client may have caused the
// failure. An optional app is asked, and an essential app has failed for that command.
func TestCondition_CannotBeEvaluated(t *testing.T) {
	t.Parallel()
	for _, essential := range []bool{false, true} {
		b := harness.New(t, roomsvc.Config{})
		m := room.Manifest{ID: "guard", Implements: scene.OnJoin, When: map[room.Interface]string{room.PreRoomUserJoined: `user.attributes.age >= 18`}}
		if essential {
			m.Essentials = scene.OnJoin
		}
		b.Register(t, m)
		b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) {
			if strings.Contains(string(msg.Data), "mallory") {
				_ = msg.Respond([]byte(scene.Denies))
				return
			}
			_ = msg.Respond([]byte(scene.Allows))
		})
		b.Create(t, "r")
		r, err := scene.Join(t, b, "alice")
		if essential {
			e := scene.ErrorOf(t, err)
			assert.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
			assert.Contains(t, e.Reason, "its condition cannot be evaluated")
		} else {
			require.NoError(t, err)
			assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
			assert.Contains(t, r.Apps[0].Reason, "asked, since its condition cannot be evaluated: ")
			assert.Contains(t, r.Apps[0].Reason, "age")
			for _, age := range []string{`"x"`, `1E400`, `null`, `[]`, `18446744073709551616`} {
				e := scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"mallory","attributes":{"age":`+age+`}}}`), room.CodeUserNotAllowed)
				assert.Equal(t, "banned", e.Reason, age)
			}
		}
		r, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "bob", Attributes: map[string]any{"age": json.Number("42")}}})
		require.NoError(t, err)
		assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
	}
}

// An invalid condition is refused at registration with the position of the mistake, and nothing is
// registered.
func TestCondition_InvalidIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for expression, says := range map[string]string{
		`roon.id == "r"`:             "1:1",
		`room.memberCount == "many"`: "1:18",
		`room.slugifedName == ""`:    "1:5",
		`room.id`:                    "bool",
		`room.id ==`:                 "1:",
		``:                           "empty",
	} {
		_, err := b.Client.RegisterApp(t.Context(), room.Manifest{
			ID: "guard", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomCreate},
			When: map[room.Interface]string{room.PreRoomUserJoined: expression},
		})
		e := scene.ErrorOf(t, err)
		assert.Equal(t, room.CodeInvalidRequest, e.Code, expression)
		assert.Contains(t, e.Message, "when: PreRoomUserJoined: ")
		assert.Contains(t, e.Message, says)
		assert.NotContains(t, e.Message, "\n")
		t.Log(e.Message)
	}
	apps, err := b.Client.Apps(t.Context())
	require.NoError(t, err)
	assert.Empty(t, apps)
}
