package policy_test

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// fragile is an app that answers only while the test lets it.
type fragile struct {
	well  atomic.Bool
	asked atomic.Int32
}

func (f *fragile) answer(msg *nats.Msg) {
	f.asked.Add(1)
	if f.well.Load() {
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
		return
	}
	_ = msg.Respond([]byte(`garbage`))
}

// travellers makes two rooms, and returns a function for joins of two users to them by turns.
// Failures of only one room or user do not count against an app.
func travellers(t *testing.T, b *harness.Bus) func() room.JoinRequest {
	t.Helper()
	b.Create(t, "r")
	b.Create(t, "s")
	n := 0
	return func() room.JoinRequest {
		n++
		if n%2 == 0 {
			return room.JoinRequest{RoomID: "s", User: room.User{ID: "bob"}}
		}
		return room.JoinRequest{RoomID: "r", User: scene.Alice}
	}
}

// An app that keeps failing is only probed now and then. After a successful probe it is asked
// again. Each change is logged once.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for _, essential := range []bool{false, true} {
		t.Run(map[bool]string{false: "optional", true: "essential"}[essential], func(t *testing.T) {
			t.Parallel()
			log := harness.NewOutput()
			b := harness.New(t, roomsvc.Config{BreakerPause: 5 * time.Second, Logger: slog.New(slog.NewTextHandler(log, nil))})
			turn := travellers(t, b)
			m := room.Manifest{ID: "fragile", Implements: scene.OnJoin}
			if essential {
				m.Essentials = scene.OnJoin
			}
			b.Register(t, m)
			app := &fragile{}
			b.Answer(t, room.PreRoomUserJoined, "fragile", app.answer)
			outcome := func() room.AppOutcome {
				request := turn()
				r, err := b.Client.Join(t.Context(), request)
				if err == nil {
					_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: request.RoomID, User: request.User})
					require.NoError(t, err)
					return r.Apps[0]
				}
				require.True(t, essential)
				e := scene.ErrorOf(t, err)
				require.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
				require.Contains(t, e.Message, e.Apps[0].Reason)
				return e.Apps[0]
			}
			for range 5 {
				require.Equal(t, room.Failed, outcome().Outcome)
			}
			for range 10 {
				o := outcome()
				require.Equal(t, room.Unavailable, o.Outcome)
				require.Contains(t, o.Reason, "breaker open after 5 failures in a row, the last: the verdict cannot be read")
			}
			state, err := b.Client.App(t.Context(), "fragile")
			require.NoError(t, err)
			assert.Equal(t, room.BreakerOpen, state.State.Breaker)
			assert.EqualValues(t, 5, app.asked.Load(), "it is not asked")

			// The first probes fail.
			require.Eventually(t, func() bool { return outcome().Outcome == room.Failed }, harness.ReplyTime, harness.Tick)
			require.Equal(t, room.Failed, outcome().Outcome, "the failure of one room does not reopen the breaker")
			app.well.Store(true)
			require.Equal(t, room.Unavailable, outcome().Outcome, "a failed probe opens the breaker again")
			require.Eventually(t, func() bool { return outcome().Outcome == room.Allowed }, harness.ReplyTime, harness.Tick)
			require.Equal(t, room.Allowed, outcome().Outcome)
			assert.Equal(t, 1, strings.Count(log.String(), "breaker open"), log.String())
			assert.Equal(t, 1, strings.Count(log.String(), "breaker closed"))
		})
	}
}

// An app that fails only for one user or one room is still asked about the others. A breaker that
// opened for all would let in users that the app denies.
func TestBreaker_BadInputOfOneUserOrRoomDoesNotOpenIt(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]func(n int) (roomID, user string){
		"one user in one room":   func(int) (string, string) { return "a", "bad" },
		"one user in many rooms": func(n int) (string, string) { return string(rune('a' + n%3)), "bad" },
		"many users in one room": func(n int) (string, string) { return "a", "bad-" + strconv.Itoa(n) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 3})
			for _, id := range []string{"a", "b", "c"} {
				b.Create(t, id)
			}
			b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin})
			b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) {
				if strings.Contains(string(msg.Data), `"id":"bad`) {
					_ = msg.Respond([]byte(`garbage`))
					return
				}
				_ = msg.Respond([]byte(scene.Denies))
			})
			for n := range 10 {
				roomID, user := request(n)
				r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: room.User{ID: user}})
				require.NoError(t, err)
				if r.Changed {
					assert.Equal(t, room.Failed, r.Apps[0].Outcome, n)
				}
			}
			_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "b", User: room.User{ID: "eve"}})
			assert.Equal(t, room.CodeUserNotAllowed, scene.ErrorOf(t, err).Code)
		})
	}
}

// A breaker is for one app and one interface.
func TestBreaker_PerAppAndInterface(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour})
	turn := travellers(t, b)
	both := []room.Interface{room.PreRoomUserJoined, room.PreRoomUserLeave}
	for _, id := range []string{"sick", "well"} {
		b.Register(t, room.Manifest{ID: id, Implements: both})
		b.Answer(t, room.PreRoomUserLeave, id, harness.Says(`{"verdict":"allow"}`))
	}
	b.Answer(t, room.PreRoomUserJoined, "sick", harness.Says(`garbage`))
	b.Answer(t, room.PreRoomUserJoined, "well", harness.Says(`{"verdict":"allow"}`))
	for n := range 8 {
		request := turn()
		r, err := b.Client.Join(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, n >= 5, r.Apps[0].Outcome == room.Unavailable)
		assert.Equal(t, room.Allowed, r.Apps[1].Outcome)
		r, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: request.RoomID, User: request.User})
		require.NoError(t, err)
		assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
	}
	app, err := b.Client.App(t.Context(), "sick")
	require.NoError(t, err)
	assert.Equal(t, room.BreakerOpen, app.State.Interfaces[room.PreRoomUserJoined].Breaker)
	assert.Equal(t, room.BreakerClosed, app.State.Interfaces[room.PreRoomUserLeave].Breaker)
	assert.Equal(t, room.BreakerOpen, app.State.Breaker)

	// Enabling an app that is already enabled closes its breaker.
	_, err = b.Client.EnableApp(t.Context(), "sick")
	require.NoError(t, err)
	r, err := scene.Join(t, b, "alice")
	require.NoError(t, err)
	assert.Equal(t, room.Failed, r.Apps[0].Outcome)
	app, err = b.Client.App(t.Context(), "sick")
	require.NoError(t, err)
	assert.EqualValues(t, 14, app.State.Calls, "the figures go on: 6 joins, 8 leaves")
}

// Denials, skips and absence are no failures.
func TestBreaker_StaysClosedOnDenialSkipAndAbsence(t *testing.T) {
	t.Parallel()
	for says, answer := range map[string]nats.MsgHandler{
		"deny":   harness.Says(`{"verdict":"deny"}`),
		"skip":   harness.Says(`{"verdict":"skip"}`),
		"absent": nil,
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour})
			b.Create(t, "r")
			b.Register(t, room.Manifest{ID: "app", Implements: scene.OnJoin})
			if answer != nil {
				b.Answer(t, room.PreRoomUserJoined, "app", answer)
			}
			for n := range 8 {
				_, _ = scene.Join(t, b, string(rune('a'+n)))
			}
			app, err := b.Client.App(t.Context(), "app")
			require.NoError(t, err)
			assert.Equal(t, room.BreakerClosed, app.State.Breaker)
			assert.EqualValues(t, 8, app.State.Calls)
		})
	}
}

// If a client's timeout leaves an app too little time, the missing answer is no failure of the app.
// Otherwise one user could open the breaker for others.
func TestBreaker_StaysClosedIfCommandHadTooLittleTime(t *testing.T) {
	t.Parallel()
	for says, answer := range map[string]nats.MsgHandler{
		"late": func(*nats.Msg) {},
		"failed": func(msg *nats.Msg) {
			_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error": {"context deadline exceeded"}}})
		},
		"absent": nil,
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 2})
			b.Create(t, "r")
			b.Register(t, room.Manifest{ID: "app", Implements: scene.OnJoin, Essentials: scene.OnJoin, TimeoutMs: new(4000)})
			if answer != nil {
				b.Answer(t, room.PreRoomUserJoined, "app", answer)
			}
			for range 3 {
				b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"hasty"}}`, "Room-Timeout-Ms", "100")
			}
			app, err := b.Client.App(t.Context(), "app")
			require.NoError(t, err)
			assert.EqualValues(t, 3, app.State.Calls)
			assert.Equal(t, room.BreakerClosed, app.State.Breaker)
			if answer == nil { // the service still waits for it
				done := scene.Joining(t, b, "r", scene.Alice)
				require.NoError(t, b.NC.Flush())
				b.Work(t, room.Manifest{ID: "app", Essentials: scene.OnJoin, TimeoutMs: new(4000)}, scene.AllowJoins)
				_, err := done.Wait(t)
				require.NoError(t, err)
			}
		})
	}
}

// If an app's timeout is longer than the service's budget, a hanging app counts as failed.
func TestBreaker_OpensIfTimeoutExceedsBudget(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: 300 * time.Millisecond, BreakerPause: time.Hour, BreakerFailures: 2})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "app", Implements: scene.OnJoin, Essentials: scene.OnJoin, TimeoutMs: new(60_000)})
	b.Answer(t, room.PreRoomUserJoined, "app", func(*nats.Msg) {})
	for _, says := range []string{"no verdict within", "no verdict within", "breaker open"} {
		_, err := scene.Join(t, b, "alice")
		e := scene.ErrorOf(t, err)
		assert.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
		assert.Contains(t, e.Reason, says)
	}
}

// A verdict with unusable content is a failure of the app, also for its breaker.
func TestBreaker_OpensOnUnusableContent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 2})
	b.Register(t, room.Manifest{ID: "app", Implements: []room.Interface{room.PreRoomCreateModify}})
	b.Answer(t, room.PreRoomCreateModify, "app", harness.Says(`{"verdict":"allow","modify":{"slugifiedName":""}}`))
	for n, want := range []room.Outcome{room.Failed, room.Failed, room.Unavailable} {
		request := harness.NewRoom(string(rune('a' + n)))
		request.Creator.ID += request.Room.ID
		r, err := b.Client.Create(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, want, r.Apps[0].Outcome)
	}
}

// hanging is a worker that answers nothing until well is set.
func hanging(well *atomic.Bool) nats.MsgHandler {
	return func(msg *nats.Msg) {
		if well.Load() {
			_ = msg.Respond([]byte(scene.Allows))
		}
	}
}

// When a worker registers, every replica asks its app again at once, even if the breaker has just
// opened for a long time. If the worker still hangs, only one probe is lost.
func TestBreaker_RegistrationHalfOpensIt(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 2})
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 2})
	turn := travellers(t, b)
	m := room.Manifest{ID: "app", Implements: scene.OnJoin, Essentials: scene.OnJoin, TimeoutMs: new(500)}
	b.Register(t, m)
	var well atomic.Bool
	b.Answer(t, room.PreRoomUserJoined, "app", hanging(&well))
	reason := func() string {
		_, err := b.Client.Join(t.Context(), turn())
		if err == nil {
			return ""
		}
		return scene.ErrorOf(t, err).Reason
	}
	open := func() bool { return strings.Contains(reason(), "breaker open") }
	for n := 0; n < 20; { // until the breaker is open at both replicas
		if open() {
			n++
		} else {
			n = 0
		}
	}
	b.Register(t, m)
	require.Eventually(t, func() bool { return strings.Contains(reason(), "no verdict within") }, harness.ReplyTime, harness.Tick, "a probe")
	for n := 0; n < 20; {
		if open() {
			n++
		} else {
			n = 0
		}
	}
	well.Store(true)
	b.Register(t, m)
	left := 0
	for range 40 {
		if reason() != "" {
			left++
		}
	}
	assert.Zero(t, left, "the app is asked by both replicas as soon as it is registered")
}

// Calls that were in flight when a worker died count as one failure.
func TestBreaker_FailuresInFlightTogetherCountOnce(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 2})
	const rooms = 10
	for n := range rooms {
		b.Create(t, "r"+strconv.Itoa(n))
	}
	b.Register(t, room.Manifest{ID: "app", Implements: scene.OnJoin, TimeoutMs: new(300)})
	b.Answer(t, room.PreRoomUserJoined, "app", func(*nats.Msg) {})
	together := func() {
		var all []scene.Pending
		for n := range rooms {
			all = append(all, scene.Joining(t, b, "r"+strconv.Itoa(n), room.User{ID: rand.Text()}))
		}
		for _, p := range all {
			_, err := p.Wait(t)
			require.NoError(t, err)
		}
	}
	together()
	app, err := b.Client.App(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, room.BreakerClosed, app.State.Breaker)
	together()
	app, err = b.Client.App(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, room.BreakerOpen, app.State.Breaker)
}

// A worker hangs until its breaker is open, then is killed and restarted. Its app is asked at once,
// although the breaker would stay open for an hour.
func TestBreaker_RestartedWorkerIsAskedAtOnce(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 2})
	b.Create(t, "r")
	worker := harness.Example(t, "guard", b.Server.URL())
	worker.Stderr.Await(t, "msg=serving app=guard")
	reply := func(user string) *nats.Msg {
		return b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"`+user+`"}}`)
	}
	assert.Contains(t, string(reply("first").Data), `"changed":true`)
	worker.Stop()
	require.Eventually(t, func() bool {
		return strings.Contains(string(reply(rand.Text()).Data), "breaker open")
	}, 4*harness.ReplyTime, harness.Tick)
	worker.Signal(syscall.SIGKILL)
	harness.Example(t, "guard", b.Server.URL()).Stderr.Await(t, "msg=serving app=guard")
	assert.Contains(t, string(reply("second").Data), `"changed":true`)
	scene.Refused(t, reply("mallory"), room.CodeUserNotAllowed)
}

// handmade starts a worker that speaks the micro protocol and does not register. It returns the
// pings that it has answered, and a function to end it.
func handmade(t *testing.T, b *harness.Bus, app string, answer nats.MsgHandler) (pings <-chan string, end func()) {
	t.Helper()
	id := rand.Text()
	ping, err := json.Marshal(micro.Ping{ServiceIdentity: micro.ServiceIdentity{Name: app, ID: id, Version: "1.0.0"}})
	require.NoError(t, err)
	answered := make(chan string, 100)
	nc := harness.Connect(t, b.Server)
	_, err = nc.Subscribe("$SRV.PING."+app, func(msg *nats.Msg) {
		_ = msg.Respond(ping)
		answered <- id
	})
	require.NoError(t, err)
	_, err = nc.QueueSubscribe("room.pre.userjoin."+app, app, answer)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return answered, nc.Close
}

// A worker that replaces a hanging worker without registering is asked at once, although the
// breaker would stay open for an hour. A worker that was there before does not close the breaker.
func TestBreaker_NewWorkerThatDoesNotRegisterHalfOpensIt(t *testing.T) {
	t.Parallel()
	log := harness.NewOutput()
	b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour, BreakerFailures: 2, Logger: slog.New(slog.NewTextHandler(log, nil))})
	turn := travellers(t, b)
	b.Register(t, room.Manifest{ID: "app", Implements: scene.OnJoin, Essentials: scene.OnJoin, TimeoutMs: new(500)})
	reason := func() string {
		_, err := b.Client.Join(t.Context(), turn())
		if err == nil {
			return ""
		}
		return scene.ErrorOf(t, err).Reason
	}
	pings, end := handmade(t, b, "app", func(*nats.Msg) {})
	pinged := func() {
		select {
		case <-pings:
		case <-time.After(harness.ReplyTime):
			require.FailNow(t, "the service does not look for workers")
		}
	}
	require.Contains(t, reason(), "no verdict within")
	pinged() // it is known as one of the failed workers
	require.Contains(t, reason(), "no verdict within")
	require.Contains(t, reason(), "breaker open")
	pinged()
	pinged()
	require.Contains(t, reason(), "breaker open", "a worker that answered pings while it failed is not new")
	end()
	handmade(t, b, "app", harness.Says(scene.Allows))
	require.Eventually(t, func() bool { return reason() == "" }, harness.ReplyTime, harness.Tick)
	assert.Equal(t, 1, strings.Count(log.String(), "new worker of an app found"), log)
}
