package hooks_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
)

// start returns hooks on a server of their own, and a connection for workers.
func start(t *testing.T) (*hooks.Hooks, *nats.Conn) {
	t.Helper()
	server := harness.NewServer(t)
	nc := harness.Connect(t, server)
	requester, err := bus.NewRequester(bus.NewBatcher(nc))
	require.NoError(t, err)
	h := hooks.New(hooks.Config{
		Conn: nc, Requester: requester, Budget: time.Minute,
		BreakerFailures: 2, BreakerPause: time.Hour, MaxAbandoned: 10, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(h.Close)
	return h, harness.Connect(t, server)
}

func app(id string, on ...room.Interface) *room.Registration {
	return &room.Registration{Manifest: room.Manifest{ID: id, Version: "1.0.0", Implements: on, TimeoutMs: new(room.MaxTimeoutMs)}}
}

// works answers for an app.
func works(t *testing.T, nc *nats.Conn, subject string, answer nats.MsgHandler) {
	t.Helper()
	_, err := nc.Subscribe(subject, answer)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
}

// Apps names neither shadows nor apps that are disabled: no command waits for them.
func TestRound_AppsWhoseVerdictCounts(t *testing.T) {
	t.Parallel()
	h := hooks.New(hooks.Config{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	shadow, off, guard := app("a-shadow", room.PreRoomUserJoined), app("off", room.PreRoomUserJoined), app("guard", room.PreRoomUserJoined)
	shadow.Operator.Shadow, off.Operator.Enabled = new(true), new(false)
	h.Set([]*room.Registration{shadow, off, guard}, nil)
	assert.Equal(t, []string{"guard"}, h.Rounds(room.EventUserJoin)[0].Apps())
}

// join asks the apps of the only round about a join.
func join(t *testing.T, h *hooks.Hooks, user string) hooks.Result {
	t.Helper()
	rounds := h.Rounds(room.EventUserJoin)
	require.Len(t, rounds, 1)
	c := rules.Command{ID: "c-" + user, Time: time.Now(), Request: room.JoinRequest{RoomID: "r", User: room.User{ID: user}}}
	d := rules.Draft{Event: room.EventUserJoin, Data: room.Data{Room: room.Room{ID: "r"}, JoiningUser: &room.User{ID: user}}}
	result := h.Gather(t.Context(), c, &d, &rounds[0])
	result.Record()
	return result
}

func outcomes(r hooks.Result) (all []room.Outcome) {
	for _, a := range r.Answers {
		all = append(all, a.Outcome)
	}
	return all
}

// Every app of a round has one answer, in the order of apps, also if its worker fails or is absent.
func TestGather_OneAnswerPerApp(t *testing.T) {
	t.Parallel()
	h, workers := start(t)
	h.Set([]*room.Registration{
		app("d-denies", room.PreRoomUserJoined), app("b-fails", room.PreRoomUserJoined), app("c-absent", room.PreRoomUserJoined),
		app("a-allows", room.PreRoomUserJoined, room.PostRoomUserJoined), app("e-leave-only", room.PreRoomUserLeave),
	}, nil)
	works(t, workers, "room.pre.userjoin.a-allows", harness.Says(`{"verdict":"allow"}`))
	works(t, workers, "room.pre.userjoin.b-fails", harness.Says(`{"verdict":`))
	works(t, workers, "room.pre.userjoin.d-denies", harness.Says(`{"verdict":"deny","reason":"full"}`))
	result := join(t, h, "ada")
	assert.Equal(t, []room.Outcome{room.Allowed, room.Failed, room.Unavailable, room.Denied}, outcomes(result))
	assert.Equal(t, "full", result.Answers[3].Reason)
	var without []string
	for _, f := range result.FailedOpen() {
		without = append(without, f.App())
	}
	assert.Equal(t, []string{"b-fails", "c-absent"}, without)
}

// The report of a hook has its last failure, with the command that explain shows. An answer that is
// usable or was not possible does not replace it.
func TestReports_LastFailure(t *testing.T) {
	t.Parallel()
	h, workers := start(t)
	h.Set([]*room.Registration{app("guard", room.PreRoomUserJoined)}, nil)
	last := func() *room.Failure { return h.Reports("guard")[0].LastFailure }
	join(t, h, "absent")
	assert.Nil(t, last())
	works(t, workers, "room.pre.userjoin.guard", func(msg *nats.Msg) {
		if msg.Header.Get("ce-id") == "c-ada" {
			_ = msg.Respond([]byte(`{"verdict":"allow"}`))
		} else {
			_ = msg.Respond([]byte(`{"verdict":`))
		}
	})
	before := time.Now()
	join(t, h, "eve")
	join(t, h, "ada")
	f := last()
	require.NotNil(t, f)
	assert.Equal(t, "c-eve", f.Command)
	assert.Equal(t, room.Failed, f.Outcome)
	assert.Contains(t, f.Reason, "the verdict cannot be read")
	assert.WithinRange(t, f.Time, before, time.Now())
}

// An app keeps its breakers and stats while its registration is the same. A changed registration
// has new breakers. A removed app has no stats.
func TestSet_ChangedRegistrationHasNewBreakers(t *testing.T) {
	t.Parallel()
	h, workers := start(t)
	works(t, workers, "room.pre.userjoin.guard", func(*nats.Msg) {})
	guard := app("guard", room.PreRoomUserJoined)
	guard.TimeoutMs = new(100)
	h.Set([]*room.Registration{guard}, nil)
	state := func() room.Breaker { return h.Reports("guard")[0].Breaker }
	for range 2 {
		assert.Equal(t, []room.Outcome{room.TimedOut}, outcomes(join(t, h, "ada")))
	}
	require.Equal(t, room.BreakerOpen, state())
	h.Set([]*room.Registration{guard, app("other", room.PreRoomUserJoined)}, nil)
	assert.Equal(t, room.BreakerOpen, state())
	changed := *guard
	h.Set([]*room.Registration{&changed}, nil)
	assert.Equal(t, room.BreakerClosed, state())
	assert.EqualValues(t, 2, h.Reports("guard")[0].TimedOut)
	h.Set(nil, nil)
	h.Set([]*room.Registration{&changed}, nil)
	assert.Zero(t, h.Reports("guard")[0].TimedOut)
}

// Once a verdict decides, the round ends. The later verdict still counts for the app.
func TestGather_RoundEndsWithTheDecision(t *testing.T) {
	t.Parallel()
	h, workers := start(t)
	decides, slow := app("decides", room.PreRoomUserJoined), app("slow", room.PreRoomUserJoined)
	slow.TimeoutMs = new(room.MaxTimeoutMs)
	h.Set([]*room.Registration{decides, slow}, nil)
	held := make(chan *nats.Msg, 1)
	works(t, workers, "room.pre.userjoin.slow", func(msg *nats.Msg) { held <- msg })
	works(t, workers, "room.pre.userjoin.decides", harness.Says(`{"verdict":"deny"}`))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result := join(t, h, "ada")
	assert.Equal(t, []room.Outcome{room.Denied, room.Skipped}, outcomes(result))
	select {
	case msg := <-held:
		require.NoError(t, msg.Respond([]byte(`{"verdict":"allow"}`)))
	case <-ctx.Done():
		require.FailNow(t, "the slow app was not asked")
	}
	require.Eventually(t, func() bool { return h.Reports("slow")[0].Allowed == 1 }, 10*time.Second, time.Millisecond)
}
