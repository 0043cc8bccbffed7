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

// checking is an app that prevents rooms whose pre-event has a forbidden word. It is asked again
// about the final draft if the manifest says so.
func checking(t *testing.T, b *harness.Bus, policy room.ReinvocationPolicy) {
	t.Helper()
	prevent := []room.Interface{room.PreRoomCreatePrevent}
	b.Register(t, room.Manifest{ID: "names", Implements: prevent, Essentials: prevent, ReinvocationPolicy: policy})
	b.Answer(t, room.PreRoomCreatePrevent, "names", func(msg *nats.Msg) {
		if strings.Contains(string(msg.Data), "forbidden") || strings.Contains(string(msg.Data), "mallory") {
			_ = msg.Respond([]byte(`{"verdict":"deny","reason":"not that one"}`))
			return
		}
		scene.Allow(msg)
	})
}

const makeRoom = `{"room":{"id":"n","slugifiedName":"n","type":"channel"},"creator":{"id":"owner"}}`

func TestReinvocation_AppIsAskedAgainAboutChangesOfOthers(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]map[room.Interface]string{
		"a modification": {room.PreRoomCreateModify: `{"verdict":"allow","modify":{"slugifiedName":"forbidden"}}`},
		"an extension":   {room.PreRoomCreateExtend: `{"verdict":"allow","extend":{"members":[{"id":"mallory"}]}}`},
	} {
		for policy, denied := range map[room.ReinvocationPolicy]bool{room.ReinvokeIfNeeded: true, room.ReinvokeNever: false, "": false} {
			t.Run(name+" "+string(policy), func(t *testing.T) {
				t.Parallel()
				b := harness.New(t, roomsvc.Config{})
				checking(t, b, policy)
				for i, answer := range answers {
					b.Register(t, room.Manifest{ID: "renamer", Implements: []room.Interface{i}})
					b.Answer(t, i, "renamer", harness.Says(answer))
				}
				reply := b.Request(t, "room.svc.create", makeRoom)
				if !denied {
					assert.Contains(t, string(reply.Data), `"changed":true`)
					return
				}
				e := scene.Refused(t, reply, room.CodePrevented)
				assert.Equal(t, "not that one", e.Reason)
				require.Len(t, e.Apps, 3)
				assert.Equal(t, []bool{false, false, true}, []bool{e.Apps[0].Reinvoked, e.Apps[1].Reinvoked, e.Apps[2].Reinvoked})
			})
		}
	}
}

func TestReinvocation_AppIsAskedOnceIfNothingChanged(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	checking(t, b, room.ReinvokeIfNeeded)
	b.Register(t, room.Manifest{ID: "renamer", Implements: []room.Interface{room.PreRoomCreateModify}})
	b.Answer(t, room.PreRoomCreateModify, "renamer", harness.Says(`{"verdict":"allow","modify":{"slugifiedName":"n"}}`))
	var r room.Result
	require.NoError(t, json.Unmarshal(b.Request(t, "room.svc.create", makeRoom).Data, &r))
	assert.Len(t, r.Apps, 2)
}

func TestReinvocation_PolicyIsShownAndChecked(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	checking(t, b, room.ReinvokeIfNeeded)
	assert.Contains(t, harness.NewCLI(t, b.Server.URL()).OK("app", "info", "names"), "asked again if another app has changed the creation since")
	for manifest, says := range map[string]string{
		`{"id":"a","version":"1.0.0","implements":["PreRoomCreatePrevent"],"essentials":[],"reinvocationPolicy":"always"}`: "never or if_needed",
		`{"id":"a","version":"1.0.0","implements":["PreRoomUserJoined"],"essentials":[],"reinvocationPolicy":"if_needed"}`: "PreRoomCreatePrevent",
	} {
		e := scene.Refused(t, b.Request(t, "room.app.register", manifest), room.CodeInvalidRequest)
		assert.Contains(t, e.Message, says)
	}
}
