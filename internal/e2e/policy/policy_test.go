package policy_test

import (
	"strconv"
	"strings"
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

// Asking an app always ends in one recorded outcome. An optional app lets the
// action go on, an essential app blocks it.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	silent := func(*nats.Msg) {}
	for name, c := range map[string]struct {
		answer   nats.MsgHandler // nil: there is no worker
		disabled bool
		outcome  room.Outcome
		reason   string
	}{
		"allow":    {answer: harness.Says(`{"verdict":"allow"}`), outcome: room.Allowed},
		"skip":     {answer: harness.Says(`{"verdict":"skip","reason":"not mine"}`), outcome: room.Skipped, reason: "not mine"},
		"absent":   {outcome: room.Unavailable, reason: "no live worker"},
		"disabled": {answer: harness.Says(`{"verdict":"deny"}`), disabled: true, outcome: room.Unavailable, reason: "disabled"},
		"late":     {answer: silent, outcome: room.TimedOut, reason: "no verdict within"},
		"garbage":  {answer: harness.Says(`\x00garbage`), outcome: room.Failed, reason: "not JSON"},
		"nothing":  {answer: harness.Says(``), outcome: room.Failed, reason: "empty"},
		"content":  {answer: harness.Says(`{"verdict":"allow","modify":{}}`), outcome: room.Failed, reason: "modify belongs"},
		"huge":     {answer: harness.Says(`{"verdict":"` + strings.Repeat("x", 1<<20-100) + `"}`), outcome: room.Failed, reason: "allow, deny or skip"},
		"error": {answer: func(msg *nats.Msg) {
			reply := &nats.Msg{Subject: msg.Reply, Header: nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {"database is down"}}}
			_ = msg.RespondMsg(reply)
		}, outcome: room.Failed, reason: "database is down"},
		"verbose": {answer: harness.Says(`{"verdict":"allow","reason":"` + strings.Repeat("é", 400<<10) + `","warnings":["` + strings.Repeat("w", 100<<10) + `"]}`), outcome: room.Allowed, reason: "éé…"},
		"error without a code": {answer: func(msg *nats.Msg) {
			_ = msg.RespondMsg(&nats.Msg{Subject: msg.Reply, Header: nats.Header{"Nats-Service-Error": {"no code"}}, Data: []byte(`{"verdict":"allow"}`)})
		}, outcome: room.Failed, reason: "no code"},
		"twice": {answer: func(msg *nats.Msg) {
			_ = msg.Respond([]byte(`{"verdict":"allow"}`))
			_ = msg.Respond([]byte(`{"verdict":"deny"}`))
		}, outcome: room.Allowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			m := room.Manifest{ID: "app", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(10_000), Enabled: new(!c.disabled)}
			if !c.outcome.Answered() && c.outcome != room.Failed {
				m.TimeoutMs = new(500) // it will time out
			}
			b.Register(t, m)
			if c.answer != nil {
				b.Answer(t, room.PreRoomUserJoined, "app", c.answer)
			}
			r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
			require.NoError(t, err, "an optional app cannot fail an action")
			require.Len(t, r.Apps, 1)
			assert.Equal(t, "app", r.Apps[0].App)
			assert.Equal(t, c.outcome, r.Apps[0].Outcome)
			assert.Contains(t, r.Apps[0].Reason, c.reason)
			stored := b.Decoded(t)
			assert.Equal(t, r.Apps, stored[len(stored)-1].Data.Apps, "the event records it too")

			m.Version, m.Essentials = "1.1.0", m.Implements
			b.Register(t, m)
			_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
			if c.outcome.Answered() {
				require.NoError(t, err)
				return
			}
			e := scene.ErrorOf(t, err)
			assert.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
			assert.Equal(t, "app", e.App)
			assert.Contains(t, e.Message, c.reason)
			assert.Equal(t, c.outcome, e.Apps[0].Outcome)
			assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))
		})
	}
}

func TestPolicy_AppCostsAtMostItsTimeout(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "hangs", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(100)})
	b.Answer(t, room.PreRoomUserJoined, "hangs", func(*nats.Msg) {})
	least := 1000.0
	for _, u := range []room.User{scene.Alice, scene.Bob, scene.Carol} { // on a busy machine one may take longer
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: u})
		require.NoError(t, err)
		assert.Equal(t, room.TimedOut, r.Apps[0].Outcome)
		assert.GreaterOrEqual(t, r.Apps[0].Ms, 100.0)
		least = min(least, r.Apps[0].Ms)
	}
	assert.Less(t, least, 1000.0, "its timeout is 100 ms")
}

// Ten optional apps that hang, in every phase of a creation, cannot use up its time.
func TestPolicy_HangingAppsShareTheBudget(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: 3 * time.Second})
	all := []room.Interface{room.PreRoomCreatePrevent, room.PreRoomCreateExtend, room.PreRoomCreateModify}
	for _, id := range strings.Split("abcdefghij", "") {
		b.Register(t, room.Manifest{ID: id, Implements: all})
		for _, i := range all {
			b.Answer(t, i, id, func(*nats.Msg) {})
		}
	}
	r := b.Create(t, "r")
	require.Len(t, r.Apps, 30)
	for _, a := range r.Apps {
		assert.Equal(t, room.TimedOut, a.Outcome)
	}
}

func TestPolicy_OtherRoomsDoNotWait(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	b.Create(t, "slow")
	b.Create(t, "fast")
	asked := make(chan *nats.Msg, 1)
	b.Register(t, room.Manifest{ID: "app", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(room.MaxTimeoutMs)})
	b.Answer(t, room.PreRoomUserJoined, "app", func(msg *nats.Msg) {
		if msg.Header.Get("ce-subject") == "slow" {
			asked <- msg
			return
		}
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	done := make(chan error, 1)
	go func() {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "slow", User: scene.Alice})
		done <- err
	}()
	held := <-asked
	for range 50 {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "fast", User: scene.Alice})
		require.NoError(t, err)
		_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "fast", User: scene.Alice})
		require.NoError(t, err)
	}
	select {
	case err := <-done:
		t.Fatalf("the slow room was to wait, not to answer %v", err)
	default:
	}
	_ = held.Respond([]byte(`{"verdict":"allow"}`))
	require.NoError(t, <-done)
}

func TestPolicy_AppsAreAskedInOrder(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for _, m := range []room.Manifest{{ID: "z", Order: new(1)}, {ID: "b"}, {ID: "a"}, {ID: "y", Order: new(200)}} {
		m.Implements = []room.Interface{room.PreRoomCreatePrevent}
		b.Register(t, m)
		b.Answer(t, room.PreRoomCreatePrevent, m.ID, harness.Says(`{"verdict":"deny","reason":"`+m.ID+` says no"}`))
	}
	_, err := b.Client.Create(t.Context(), harness.NewRoom("r"))
	e := scene.ErrorOf(t, err)
	var order []string
	for _, a := range e.Apps {
		order = append(order, a.App)
	}
	assert.Equal(t, []string{"z", "a", "b", "y"}, order)
	assert.Equal(t, "z", e.App)
	assert.Equal(t, "z says no", e.Reason)
}

// A command that changes nothing asks no app, and so does not wait.
func TestPolicy_UnchangedCommandAsksNoApp(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	asked := make(chan *nats.Msg, 1)
	b.Register(t, room.Manifest{ID: "slow", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(10_000)})
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) { asked <- msg })
	done := make(chan error, 1)
	go func() {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
		done <- err
	}()
	held := <-asked
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "owner"}})
	require.NoError(t, err)
	assert.False(t, r.Changed)
	_, err = b.Client.Create(t.Context(), harness.NewRoom("r"))
	assert.Equal(t, room.CodeRoomExists, scene.ErrorOf(t, err).Code)
	_ = held.Respond([]byte(`{"verdict":"allow"}`))
	require.NoError(t, <-done)
}

// If the command's time is shorter than the timeout of an essential app, the app is not blamed.
func TestPolicy_AppWithTooLittleTimeIsNotBlamed(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	join := []room.Interface{room.PreRoomUserJoined}
	b.Register(t, room.Manifest{ID: "slow", Implements: join, Essentials: join})
	b.Answer(t, room.PreRoomUserJoined, "slow", func(*nats.Msg) {})
	e := scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`, "Room-Timeout-Ms", "200"), room.CodeDeadlineExceeded)
	assert.Equal(t, "slow", e.App)
	assert.Equal(t, room.TimedOut, e.Apps[0].Outcome)
}

// A command gets at most the service's budget, however long the client would wait.
func TestPolicy_BudgetBoundsTheClientsTimeout(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: 2 * time.Second})
	b.Create(t, "r")
	given := make(chan string, 1)
	b.Register(t, room.Manifest{ID: "app", Implements: scene.OnJoin, TimeoutMs: new(room.MaxTimeoutMs)})
	b.Answer(t, room.PreRoomUserJoined, "app", func(msg *nats.Msg) {
		given <- msg.Header.Get("Room-Timeout-Ms")
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`, "Room-Timeout-Ms", "60000")
	ms, err := strconv.Atoi(<-given)
	require.NoError(t, err)
	assert.LessOrEqual(t, ms, 2000)
}
