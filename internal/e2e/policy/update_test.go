package policy_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// updates are the commands that change a room and its member.
func updates(t *testing.T, b *harness.Bus) map[room.Interface]func() (room.Result, error) {
	t.Helper()
	b.Create(t, "r")
	return map[room.Interface]func() (room.Result, error){
		room.PreRoomUpdatePrevent: func() (room.Result, error) {
			return b.Client.Update(t.Context(), room.UpdateRequest{RoomID: "r", Patch: room.Patch{"description": "d"}})
		},
		room.PreRoomUserUpdatePrevent: func() (room.Result, error) {
			return b.Client.UpdateMember(t.Context(), room.UpdateMemberRequest{RoomID: "r", User: room.Patch{"id": "owner", "name": "O."}})
		},
	}
}

// Updates have the policy of the other commands.
func TestUpdate_Policy(t *testing.T) {
	t.Parallel()
	silent := func(*nats.Msg) {}
	for name, c := range map[string]struct {
		change  func(*room.Manifest)
		answer  nats.MsgHandler // nil: no worker
		code    room.Code       // of the refusal, empty: none
		kind    room.RejectionKind
		outcome room.Outcome
		shadow  bool
	}{
		"denied":                   {answer: harness.Says(scene.Denies), code: room.CodePrevented, kind: room.RejectionDenied, outcome: room.Denied},
		"optional, absent":         {outcome: room.Unavailable},
		"optional, hanging":        {answer: silent, outcome: room.TimedOut},
		"essential, absent":        {change: essential, code: room.CodeEssentialAppUnavailable, kind: room.RejectionBlocked, outcome: room.Unavailable},
		"essential, hanging":       {change: essential, answer: silent, code: room.CodeEssentialAppUnavailable, kind: room.RejectionBlocked, outcome: room.TimedOut},
		"essential, cannot modify": {change: essential, answer: harness.Says(`{"verdict":"allow","modify":{}}`), code: room.CodeEssentialAppUnavailable, kind: room.RejectionBlocked, outcome: room.Failed},
		"shadow":                   {change: func(m *room.Manifest) { m.Shadow = true }, answer: harness.Says(scene.Denies), outcome: room.Denied, shadow: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			for i, update := range updates(t, b) {
				m := room.Manifest{ID: "app-" + i.Token(), Implements: []room.Interface{i}, TimeoutMs: new(500)}
				if c.change != nil {
					c.change(&m)
				}
				b.Register(t, m)
				if c.answer != nil {
					b.Answer(t, i, m.ID, c.answer)
				}
				before := len(b.Events(t))
				r, err := update()
				apps := r.Apps
				if c.code != "" {
					e := scene.ErrorOf(t, err)
					assert.Equal(t, c.code, e.Code)
					assert.Equal(t, m.ID, e.App)
					apps = e.Apps
					assert.Len(t, b.Events(t), before)
				} else {
					require.NoError(t, err)
					assert.Len(t, b.Events(t), before+1)
				}
				require.Len(t, apps, 1)
				if apps[0].Outcome == room.Skipped { // no command waits long for a shadow
					require.True(t, c.shadow)
					require.Eventually(t, func() bool {
						app, err := b.Client.App(t.Context(), m.ID)
						return err == nil && app.State.WouldHaveDenied == 1
					}, 30*time.Second, 10*time.Millisecond)
				} else {
					assert.Equal(t, c.outcome, apps[0].Outcome)
				}
				assert.Equal(t, c.shadow, apps[0].Shadow)
				assert.Equal(t, i, apps[0].Interface)
			}
			if c.code != "" {
				for _, r := range b.Rejections(t, 2) {
					assert.Equal(t, c.kind, r.Kind)
					assert.Contains(t, []string{"update", "updatemember"}, r.Command)
					assert.NotEmpty(t, r.Asked().Changed)
				}
			}
		})
	}
}

func essential(m *room.Manifest) { m.Essentials = m.Implements }
