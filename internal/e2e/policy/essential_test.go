package policy_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// An app that is essential for one interface blocks only that interface.
func TestEssential_PerInterface(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{
		ID: "guard", Implements: []room.Interface{room.PreRoomUserJoined, room.PreRoomUserLeave, room.PreRoomCreatePrevent},
		Essentials: scene.OnJoin, TimeoutMs: new(1000),
	})
	r := b.Create(t, "r")
	assert.Equal(t, room.Unavailable, r.Apps[0].Outcome)
	_, err := scene.Join(t, b, "alice")
	e := scene.ErrorOf(t, err)
	assert.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
	assert.Equal(t, "guard", e.App)
	assert.Equal(t, "no live worker", e.Reason)
	left, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: room.User{ID: "owner"}})
	require.NoError(t, err)
	assert.Equal(t, "no live worker", left.Apps[0].Reason)
}

// The only replica of an essential app is restarted under load, and no command fails.
func TestEssential_ShortAbsenceIsBridged(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	m := room.Manifest{ID: "guard", Essentials: scene.OnJoin, TimeoutMs: new(4000)}
	stop := b.Work(t, m, scene.AllowJoins)
	ctx, cancel := context.WithCancel(t.Context())
	var joiners sync.WaitGroup
	var done atomic.Int64
	for k := range 4 {
		joiners.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, err := scene.Join(t, b, fmt.Sprintf("u-%d-%d", k, n))
				if !assert.NoError(t, err) {
					return
				}
				done.Add(1)
			}
		})
	}
	for range 5 {
		before := done.Load()
		require.Eventually(t, func() bool { return done.Load() > before+10 }, harness.ReplyTime, time.Millisecond)
		require.NoError(t, stop()) // now there is none
		stop = b.Work(t, m, scene.AllowJoins)
	}
	cancel()
	joiners.Wait()
	for _, e := range b.Decoded(t)[1:] {
		require.Equal(t, room.Allowed, e.Data.Apps[0].Outcome)
	}
}

// The service waits for an absent essential app until its timeout. After a few times without a
// worker it only asks once.
func TestEssential_LongAbsenceIsAskedOnce(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerFailures: 2, Budget: time.Second})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, Essentials: scene.OnJoin, TimeoutMs: new(500)})
	waited := func() float64 {
		_, err := scene.Join(t, b, "alice")
		e := scene.ErrorOf(t, err)
		require.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
		require.Equal(t, "no live worker", e.Reason)
		return e.Apps[0].Ms
	}
	for range 2 {
		assert.GreaterOrEqual(t, waited(), 500.0)
	}
	least := 500.0
	for range 5 {
		least = min(least, waited())
	}
	assert.Less(t, least, 250.0, "the app is asked without waiting for a worker")
	app, err := b.Client.App(t.Context(), "guard")
	require.NoError(t, err)
	assert.Equal(t, room.BreakerClosed, app.State.Breaker, "an absent app is detected at once, without a breaker")

	b.Answer(t, room.PreRoomUserJoined, "guard", harness.Says(`{"verdict":"allow"}`))
	_, err = scene.Join(t, b, "alice")
	require.NoError(t, err, "the app is asked as soon as it has a worker")
}

// An absent optional app costs no more than the server's "no responders" reply.
func TestOptional_AbsentAppCostsNoTime(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: time.Minute})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(60_000)})
	r, err := scene.Join(t, b, "alice")
	require.NoError(t, err)
	assert.Equal(t, "no live worker", r.Apps[0].Reason)
	assert.Less(t, r.Apps[0].Ms, 10_000.0, "its timeout is a minute")
}

// A denial names the first app in order that denied, even if another was faster. The service does
// not wait for later apps, but records their outcomes.
func TestDenial_DoesNotWaitForLaterApps(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	held := make(chan *nats.Msg, 1)
	first := make(chan *nats.Msg, 1)
	for n, app := range []struct {
		id     string
		answer nats.MsgHandler
	}{
		{"first", func(msg *nats.Msg) { first <- msg }},
		{"second", func(msg *nats.Msg) {
			_ = msg.Respond([]byte(`{"verdict":"deny","reason":"second says no"}`))
			_ = (<-first).Respond([]byte(`{"verdict":"deny","reason":"first says no"}`)) // later, but earlier in order
		}},
		{"last", func(msg *nats.Msg) { held <- msg }},
	} {
		b.Register(t, room.Manifest{ID: app.id, Implements: scene.OnJoin, Order: new(n), TimeoutMs: new(60_000)})
		b.Answer(t, room.PreRoomUserJoined, app.id, app.answer)
	}
	reply := b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`)
	e := scene.Refused(t, reply, room.CodeUserNotAllowed)
	assert.Equal(t, "first", e.App)
	assert.Equal(t, "first says no", e.Reason)
	require.Len(t, e.Apps, 3)
	assert.Equal(t, room.Denied, e.Apps[0].Outcome)
	assert.Equal(t, room.Denied, e.Apps[1].Outcome)
	assert.Equal(t, room.Skipped, e.Apps[2].Outcome)
	assert.Equal(t, "not waited for", e.Apps[2].Reason)

	// Its late verdict still counts in its stats.
	require.NoError(t, (<-held).Respond([]byte(`{"verdict":"deny"}`)))
	require.Eventually(t, func() bool {
		app, err := b.Client.App(t.Context(), "last")
		return err == nil && app.State.Denied == 1 && app.State.Calls == 1 && app.State.Skipped == 0
	}, harness.ReplyTime, harness.Tick)
}

// Before a denial counts, the service waits for the apps that are earlier in order.
func TestDenial_WaitsForEarlierApps(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	asked := make(chan *nats.Msg, 1)
	b.Register(t, room.Manifest{ID: "a", Implements: scene.OnJoin, TimeoutMs: new(60_000)})
	b.Answer(t, room.PreRoomUserJoined, "a", func(msg *nats.Msg) { asked <- msg })
	b.Register(t, room.Manifest{ID: "b", Implements: scene.OnJoin})
	b.Answer(t, room.PreRoomUserJoined, "b", harness.Says(`{"verdict":"deny"}`))
	answered := make(chan error, 1)
	go func() {
		_, err := scene.Join(t, b, "alice")
		answered <- err
	}()
	msg := <-asked
	_, err := b.Client.Apps(t.Context()) // takes longer than the grace
	require.NoError(t, err)
	select {
	case err := <-answered:
		t.Fatalf("a was to be waited for, not answered without it: %v", err)
	default:
	}
	require.NoError(t, msg.Respond([]byte(`{"verdict":"allow"}`)))
	e := scene.ErrorOf(t, <-answered)
	assert.Equal(t, "b", e.App)
	assert.Equal(t, room.Allowed, e.Apps[0].Outcome)
}

// The reason of a denial, and the app that gave it, reach the client and its user.
func TestDenial_ReasonReachesTheUser(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Work(t, room.Manifest{ID: "guard"}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
		return room.UserNotAllowed("you are banned here")
	}})
	_, err := scene.Join(t, b, "mallory")
	e := scene.ErrorOf(t, err)
	assert.Equal(t, room.CodeUserNotAllowed, e.Code)
	assert.Equal(t, "guard", e.App)
	assert.Equal(t, "you are banned here", e.Reason)
	c := harness.NewCLI(t, b.Server.URL())
	assert.Contains(t, c.Fails(3, "room", "join", "r", "mallory"), "user_not_allowed: app guard denied it: you are banned here")
}
