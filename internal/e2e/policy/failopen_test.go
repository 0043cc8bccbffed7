package policy_test

import (
	"log/slog"
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

// Three joins go on without a verdict of app opt, one is denied by another app, and one has the
// verdict.
func TestFailOpen_CountedAndLoggedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  nats.MsgHandler // nil: there is no worker
		outcome room.Outcome
	}{
		"no worker": {nil, room.Unavailable},
		"failed":    {harness.Says("garbage"), room.Failed},
		"timed out": {func(*nats.Msg) {}, room.TimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := harness.NewOutput()
			b := harness.New(t, roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
			b.Create(t, "r")
			b.Register(t, room.Manifest{ID: "opt", Implements: scene.OnJoin, TimeoutMs: new(500)})
			b.Register(t, room.Manifest{ID: "gate", Implements: scene.OnJoin, When: map[room.Interface]string{room.PreRoomUserJoined: `user.id == "mallory"`}})
			b.Answer(t, room.PreRoomUserJoined, "gate", harness.Says(`{"verdict":"deny"}`))
			leave := func() error { return nil }
			if c.answer != nil {
				sub, err := b.NC.QueueSubscribe("room.pre.userjoin.opt", "opt", c.answer)
				require.NoError(t, err)
				require.NoError(t, b.NC.Flush())
				leave = sub.Unsubscribe
			}
			for _, user := range []string{"a", "b", "c"} {
				r, err := scene.Join(t, b, user)
				require.NoError(t, err)
				require.Equal(t, c.outcome, r.Apps[len(r.Apps)-1].Outcome)
			}
			_, err := scene.Join(t, b, "mallory")
			require.Equal(t, room.CodeUserNotAllowed, scene.ErrorOf(t, err).Code)
			require.NoError(t, leave())
			b.Answer(t, room.PreRoomUserJoined, "opt", harness.Says(`{"verdict":"allow"}`))
			_, err = scene.Join(t, b, "d")
			require.NoError(t, err)

			log.Await(t, `level=WARN msg="fail-open: commands go on without the verdict of an optional app" app=opt interface=PreRoomUserJoined outcome=`+string(c.outcome))
			log.Await(t, `level=INFO msg="fail-open ended: the app gives verdicts again" app=opt interface=PreRoomUserJoined commands=3 outage=`)
			assert.Equal(t, 2, strings.Count(log.String(), "msg=\"fail-open"), "one line when it begins, one when it ends")
			app, err := b.Client.App(t.Context(), "opt")
			require.NoError(t, err)
			assert.EqualValues(t, 3, app.State.FailOpen)
			assert.EqualValues(t, 3, app.State.Interfaces[room.PreRoomUserJoined].FailOpen)
			list := harness.NewCLI(t, b.Server.URL()).OK("app", "ls")
			assert.Regexp(t, `(?m)^APP .*TIMED OUT +FAIL OPEN +P50`, list)
			assert.Regexp(t, `(?m)^opt .* 3 +[0-9.]+ ms`, list)
		})
	}
}

func TestFailOpen_DisabledAppIsCountedWithoutAlarm(t *testing.T) {
	t.Parallel()
	log := harness.NewOutput()
	b := harness.New(t, roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "opt", Implements: scene.OnJoin})
	b.Register(t, room.Manifest{ID: "shade", Implements: scene.OnJoin, Shadow: true})
	_, err := b.Client.DisableApp(t.Context(), "opt")
	require.NoError(t, err)
	_, err = scene.Join(t, b, "a")
	require.NoError(t, err)
	for id, want := range map[string]uint64{"opt": 1, "shade": 0} {
		app, err := b.Client.App(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, want, app.State.FailOpen, id)
	}
	assert.NotContains(t, log.String(), "fail-open")
}

// An app behind an open breaker is not asked. Commands that go on without it are still counted.
func TestFailOpen_OpenBreakerGoesOnCounting(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerFailures: 1, BreakerPause: 3 * harness.ReplyTime})
	turn := travellers(t, b)
	b.Register(t, room.Manifest{ID: "fragile", Implements: scene.OnJoin})
	b.Answer(t, room.PreRoomUserJoined, "fragile", (&fragile{}).answer)
	const commands = 10
	for range commands {
		request := turn()
		_, err := b.Client.Join(t.Context(), request)
		require.NoError(t, err)
		_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: request.RoomID, User: request.User})
		require.NoError(t, err)
	}
	app, err := b.Client.App(t.Context(), "fragile")
	require.NoError(t, err)
	assert.EqualValues(t, commands, app.State.FailOpen)
	assert.Positive(t, app.State.Unavailable)
}
