package policy_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// racing answers each request with the next of the answers, and repeats the last one. Another
// replica changes the room before the first answers arrive. An empty answer means that it does not
// answer.
func racing(t *testing.T, b *harness.Bus, races int, answers ...string) (asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) {
		n := int(asked.Add(1))
		var d room.Data
		_ = json.Unmarshal(msg.Data, &d)
		if n <= races {
			scene.MoveRoom(t, b, d.Room, n)
		}
		if answer := answers[min(n, len(answers))-1]; answer != "" {
			_ = msg.Respond([]byte(answer))
		}
	})
	return asked
}

func TestDenial_StandsWhenTimeRunsOutInALaterTry(t *testing.T) {
	t.Parallel()
	for name, essentials := range map[string][]room.Interface{"optional": nil, "essential": scene.OnJoin} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, Essentials: essentials, TimeoutMs: new(3000)})
			racing(t, b, 1, scene.Denies, "")
			e := scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins, "Room-Timeout-Ms", "2000"), room.CodeUserNotAllowed)
			assert.Equal(t, "banned", e.Reason)
			assert.Equal(t, room.RejectionDenied, b.Rejections(t, 1)[0].Kind)
			assert.Equal(t, []string{"mover-1", "owner"}, b.Members(t, "r"))
		})
	}
}

func TestDenial_StandsWhenAnEssentialAppIsAwayInALaterTry(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, Essentials: scene.OnJoin, TimeoutMs: new(3000)})
	racing(t, b, 1, scene.Denies, `no verdict`)
	e := scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins), room.CodeUserNotAllowed)
	assert.Equal(t, "banned", e.Reason)
}

// If an optional app gives no verdict in the later try, its earlier denial stands.
func TestDenial_StandsWhenAnOptionalAppFailsInALaterTry(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]string{"unreadable": `no verdict`, "silent": ``} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(1000)})
			racing(t, b, 1, scene.Denies, second)
			e := scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins), room.CodeUserNotAllowed)
			assert.Equal(t, "banned", e.Reason)
		})
	}
}

func TestDenial_StandsWhenConflictsEndTheTries(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{MaxConflicts: 2})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(3000)})
	asked := racing(t, b, 100, scene.Denies)
	e := scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins), room.CodeUserNotAllowed)
	assert.Equal(t, "banned", e.Reason)
	assert.Greater(t, asked.Load(), int32(1))
}

func TestDenial_IsTakenBackByALaterCompleteAsking(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(3000)})
	racing(t, b, 1, scene.Denies, scene.Allows)
	r, err := scene.Join(t, b, "mallory")
	require.NoError(t, err)
	assert.True(t, r.Changed)
}

// A command that was denied first and allowed by all later is not reported as denied, but as failed
// to commit.
func TestDenial_DroppedIfALaterTryAllows(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{MaxConflicts: 2})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(3000)})
	racing(t, b, 100, scene.Denies, scene.Allows)
	scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins), room.CodeConflict)
}

// The guard of the README lets no banned user in: neither by a join, nor as a member or creator of
// a new room, nor as a member that another app adds.
func TestGuardExample_LetsNoBannedUserIn(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.Example(t, "guard", b.Server.URL()).Stderr.Await(t, "msg=serving app=guard")
	b.Create(t, "r")
	scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins), room.CodeUserNotAllowed)
	create := func(creator, rest string) *nats.Msg {
		return b.Request(t, "room.svc.create", `{"room":{"id":"n","slugifiedName":"n","type":"channel"},"creator":{"id":"`+creator+`"}`+rest+`}`)
	}
	scene.Refused(t, create("owner", `,"members":[{"id":"mallory"}]`), room.CodePrevented)
	scene.Refused(t, create("mallory", ``), room.CodePrevented)
	b.Register(t, room.Manifest{ID: "inviter", Implements: []room.Interface{room.PreRoomCreateExtend}})
	b.Answer(t, room.PreRoomCreateExtend, "inviter", harness.Says(`{"verdict":"allow","extend":{"members":[{"id":"mallory"}]}}`))
	scene.Refused(t, create("owner", ``), room.CodePrevented)
}
