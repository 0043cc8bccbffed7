package policy_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
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

const malloryJoins = `{"roomId":"r","user":{"id":"mallory"}}`

// A client cannot bypass an app with a timeout shorter than the app needs, however the app ends in
// that time.
func TestFairTime_HastyClientDoesNotGetPastOptionalApp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]nats.MsgHandler{
		"hangs": func(*nats.Msg) {},
		"gives up because of the little time": func(msg *nats.Msg) {
			_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {"too little time"}}})
		},
		"says that its time was over": func(msg *nats.Msg) {
			_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"504"}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin})
			b.Answer(t, room.PreRoomUserJoined, "guard", answer)
			for _, ms := range []string{"1", "3", "20", "200"} {
				e := scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins, "Room-Timeout-Ms", ms), room.CodeDeadlineExceeded)
				assert.NotEqual(t, room.Allowed, outcomeOf(e.Apps), ms)
			}
			app, err := b.Client.App(t.Context(), "guard")
			require.NoError(t, err)
			assert.Equal(t, room.BreakerClosed, app.State.Breaker, "the app is not to blame")
			assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
		})
	}
}

// outcomeOf returns the outcome of the only app, or "" if none was asked.
func outcomeOf(apps []room.AppOutcome) room.Outcome {
	if len(apps) == 0 {
		return ""
	}
	return apps[0].Outcome
}

// A command with a short timeout succeeds if the apps are fast enough, and a denial in time counts.
func TestFairTime_HastyCommandGetsVerdictsOfFastApps(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(60_000)})
	b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) {
		var d room.Data
		_ = json.Unmarshal(msg.Data, &d)
		if d.JoiningUser.ID == "mallory" {
			_ = msg.Respond([]byte(`{"verdict":"deny","reason":"banned"}`))
			return
		}
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	var r room.Result
	require.NoError(t, json.Unmarshal(b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`, "Room-Timeout-Ms", "3000").Data, &r))
	assert.True(t, r.Changed)
	scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins, "Room-Timeout-Ms", "3000"), room.CodeUserNotAllowed)
}

// A hanging optional app costs a command with enough time only the app's timeout.
func TestFairTime_CommandWithItsWholeTimePassesHangingOptionalApp(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: 2 * time.Second})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(room.MaxTimeoutMs)})
	b.Answer(t, room.PreRoomUserJoined, "guard", func(*nats.Msg) {})
	r, err := scene.Join(t, b, "u")
	require.NoError(t, err)
	assert.Equal(t, room.TimedOut, r.Apps[0].Outcome)
}

// A try after a lost race needs fair time too.
func TestFairTime_RetryAfterConflictWithoutTimeIsNotCommitted(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(2000)})
	var asked atomic.Int32
	b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) {
		if asked.Add(1) > 1 {
			return // it now needs longer
		}
		var d room.Data
		_ = json.Unmarshal(msg.Data, &d)
		scene.MoveRoom(t, b, d.Room, 1)
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	scene.Refused(t, b.Request(t, "room.svc.join", malloryJoins, "Room-Timeout-Ms", "1900"), room.CodeDeadlineExceeded)
	assert.Greater(t, asked.Load(), int32(1))
	assert.Equal(t, []string{"mover-1", "owner"}, b.Members(t, "r"))
}

// Commands that queue behind a hanging app do not all come too late to count. The breaker opens and
// the room continues, although new commands keep arriving.
func TestFairTime_HangingOptionalAppDoesNotHoldABusyRoom(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: 1200 * time.Millisecond, BreakerPause: time.Hour})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(300)})
	b.Answer(t, room.PreRoomUserJoined, "guard", func(*nats.Msg) {})
	inbox := b.NC.NewInbox()
	past := make(chan struct{})
	sub, err := b.NC.Subscribe(inbox, func(msg *nats.Msg) {
		var r room.Result
		if json.Unmarshal(msg.Data, &r) == nil && r.Changed && outcomeOf(r.Apps) == room.Unavailable {
			select {
			case past <- struct{}{}:
			default:
			}
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	coming := time.NewTicker(40 * time.Millisecond)
	defer coming.Stop()
	for n := range 1000 {
		select {
		case <-past:
			return
		case <-coming.C:
			require.NoError(t, b.NC.PublishRequest("room.svc.join", inbox, fmt.Appendf(nil, `{"roomId":"r","user":{"id":"u%d"}}`, n)))
		}
	}
	t.Fatal("no command of 1000 got past the app that hangs")
}

// An app gets its full time to answer, for any timeout of the client, and whichever apps are asked
// before, after or at the same time.
func TestFairTime_DoesNotDependOnTheClient(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	prevents := []room.Interface{room.PreRoomCreatePrevent, room.PreRoomUserJoined}
	b.Register(t, room.Manifest{ID: "guard", Implements: prevents, TimeoutMs: new(1400)})
	for _, i := range prevents {
		b.Answer(t, i, "guard", func(msg *nats.Msg) {
			time.AfterFunc(400*time.Millisecond, func() { _ = msg.Respond([]byte(scene.Denies)) })
		})
	}
	patient := room.Manifest{ID: "patient", Implements: []room.Interface{room.PreRoomUserJoined, room.PreRoomCreateModify}, TimeoutMs: new(room.MaxTimeoutMs)}
	b.Register(t, patient)
	for _, i := range patient.Implements {
		b.Answer(t, i, "patient", harness.Says(scene.Allows))
	}
	for n := range 5 {
		id := "fast-" + strconv.Itoa(n)
		b.Register(t, room.Manifest{ID: id, Implements: []room.Interface{room.PreRoomCreateModify}, TimeoutMs: new(300)})
		b.Answer(t, room.PreRoomCreateModify, id, harness.Says(scene.Allows))
	}
	for _, ms := range []string{"4000", "3000", "1500", "600", "450", "200"} {
		for subject, body := range map[string]string{"room.svc.join": malloryJoins, "room.svc.create": makeRoom} {
			reply := b.Request(t, subject, body, "Room-Timeout-Ms", ms)
			assert.Contains(t, []string{"403", "504"}, reply.Header.Get("Nats-Service-Error-Code"), "%s within %s ms: %s", subject, ms, reply.Data)
		}
	}
	app, err := b.Client.App(t.Context(), "guard")
	require.NoError(t, err)
	assert.Equal(t, room.BreakerClosed, app.State.Breaker)
}

// Every command that queues behind a slow but answering app asks the app, however late it is.
func TestFairTime_SlowAppIsAskedForEveryQueuedCommand(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: 6 * time.Second})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "slow", Implements: scene.OnJoin, TimeoutMs: new(4000)})
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) {
		time.AfterFunc(800*time.Millisecond, func() { scene.Allow(msg) })
	})
	var replies []<-chan *nats.Msg
	for n := range 4 {
		replies = append(replies, b.Send(t, "room.svc.join", fmt.Sprintf(`{"roomId":"r","user":{"id":"u%d"}}`, n)))
	}
	for _, reply := range replies {
		assert.Contains(t, string((<-reply).Data), `"changed":true`)
	}
}

// A client never gets deadline_exceeded for a committed command, for any timeout.
func TestFairTime_DeadlineExceededMeansNotCommitted(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	const commands = 300
	said := make([]room.Code, commands)
	var clients sync.WaitGroup
	for worker := range 8 {
		clients.Go(func() {
			for n := worker; n < commands; n += 8 {
				msg := nats.NewMsg("room.svc.join")
				msg.Data = fmt.Appendf(nil, `{"roomId":"r","user":{"id":"u%d"}}`, n)
				msg.Header.Set("Room-Timeout-Ms", strconv.Itoa(1+n%4))
				reply, err := b.NC.RequestMsg(msg, harness.ReplyTime)
				if assert.NoError(t, err) {
					var e room.Error
					_ = json.Unmarshal(reply.Data, &e)
					said[n] = e.Code
				}
			}
		})
	}
	clients.Wait()
	members := make(map[string]bool)
	for _, id := range b.Members(t, "r") {
		members[id] = true
	}
	for n, code := range said {
		id := "u" + strconv.Itoa(n)
		switch code {
		case "":
			assert.True(t, members[id], "%s was told that it is done", id)
		case room.CodeDeadlineExceeded:
			assert.False(t, members[id], "%s was told that it is not done", id)
		}
	}
}
