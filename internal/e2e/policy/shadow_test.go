package policy_test

import (
	"slices"
	"strconv"
	"sync"
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

// The verdict of a shadow is recorded and counted, and not enforced.
func TestShadow(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{
		ID: "shade", Implements: room.EventCreate.Phases(), Essentials: []room.Interface{room.PreRoomCreatePrevent}, Shadow: true,
	})
	b.Answer(t, room.PreRoomCreatePrevent, "shade", harness.Says(`{"verdict":"deny","reason":"not here","warnings":["w"]}`))
	b.Answer(t, room.PreRoomCreateExtend, "shade", harness.Says(`{"verdict":"allow","extend":{"customFields":{"k":"v"},"members":[{"id":"x"}]}}`))
	b.Answer(t, room.PreRoomCreateModify, "shade", harness.Says(`{"verdict":"allow","modify":{"displayName":"Shade"}}`))
	var r room.Result
	created := 0
	for r.Apps == nil || slices.ContainsFunc(r.Apps, func(a room.AppOutcome) bool { return a.Outcome == room.Skipped }) {
		require.Less(t, created, 100, "it is never waited for")
		r = b.Create(t, strconv.Itoa(created))
		created++
	}
	assert.Empty(t, r.Room.DisplayName)
	assert.Empty(t, r.Room.CustomFields)
	assert.Equal(t, 1, r.Room.MemberCount)
	assert.Empty(t, r.Warnings)
	require.Len(t, r.Apps, 3)
	for _, a := range r.Apps {
		assert.True(t, a.Shadow)
	}
	assert.Equal(t, room.Denied, r.Apps[0].Outcome)
	assert.Equal(t, "not here", r.Apps[0].Reason)
	assert.Equal(t, []string{"members", "customFields.k"}, r.Apps[1].Changed, "the changes that it would have made")
	assert.Equal(t, []string{"displayName"}, r.Apps[2].Changed)
	assert.Equal(t, r.Apps, b.Decoded(t)[r.Event.Seq-1].Data.Apps)
	require.Eventually(t, func() bool { // also if the service did not wait for it
		app, err := b.Client.App(t.Context(), "shade")
		require.NoError(t, err)
		return app.State.WouldHaveDenied == uint64(created) && app.State.Denied == uint64(created)
	}, harness.ReplyTime, harness.Tick)
}

// A shadow that hangs costs nothing, alone, with other apps, or in the middle of the chain.
func TestShadow_HangingCostsNoTime(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	held := make(chan *nats.Msg, 10)
	b.Register(t, room.Manifest{ID: "shade", Implements: room.EventCreate.Phases(), Shadow: true, TimeoutMs: new(60_000), Order: new(50)})
	for _, i := range room.EventCreate.Phases() {
		b.Answer(t, i, "shade", func(msg *nats.Msg) { held <- msg })
	}
	r := b.Create(t, "alone")
	require.Len(t, r.Apps, 3)
	for _, a := range r.Apps {
		assert.Equal(t, room.Skipped, a.Outcome)
		assert.Equal(t, "not waited for", a.Reason)
	}

	for n, id := range []string{"one", "two"} {
		b.Register(t, room.Manifest{ID: id, Implements: room.EventCreate.Phases(), Order: new(100 * n)})
		for _, i := range room.EventCreate.Phases() {
			b.Answer(t, i, id, harness.Says(`{"verdict":"allow"}`))
		}
	}
	b.Register(t, room.Manifest{ID: "three", Implements: []room.Interface{room.PreRoomCreateModify}, Order: new(200)})
	b.Answer(t, room.PreRoomCreateModify, "three", harness.Says(`{"verdict":"allow"}`))
	r = b.Create(t, "beside")
	var order []string
	for _, a := range r.Apps {
		assert.Equal(t, a.App == "shade", a.Outcome == room.Skipped)
		if a.Interface == room.PreRoomCreateModify {
			order = append(order, a.App)
		}
	}
	assert.Equal(t, []string{"one", "shade", "two", "three"}, order)

	// Its late verdict is counted.
	for range 6 {
		require.NoError(t, (<-held).Respond([]byte(`{"verdict":"allow"}`)))
	}
	require.Eventually(t, func() bool {
		app, err := b.Client.App(t.Context(), "shade")
		return err == nil && app.State.Allowed == 6
	}, harness.ReplyTime, harness.Tick)
}

// A shadow in the chain is asked about the same room as if it were no shadow.
func TestShadow_SeesTheRoomAtItsPlace(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	var bodies sync.Map // bodies of the pre-events
	for n, id := range []string{"first", "shade", "last", "after"} {
		b.Register(t, room.Manifest{ID: id, Implements: []room.Interface{room.PreRoomCreateModify}, Order: new(n), Shadow: id == "shade" || id == "after"})
		b.Answer(t, room.PreRoomCreateModify, id, func(msg *nats.Msg) {
			bodies.Store(id, string(msg.Data))
			_ = msg.Respond([]byte(`{"verdict":"allow","modify":{"description":"` + id + `"}}`))
		})
	}
	r := b.Create(t, "r")
	assert.Equal(t, "last", r.Room.Description)
	for id, description := range map[string]string{"shade": "first", "last": "first", "after": "last"} {
		body, _ := bodies.Load(id)
		assert.Contains(t, body, `"description":"`+description+`"`, id)
	}
}

// The service does not wait for an essential shadow either, and its long timeout takes no time from
// the others.
func TestShadow_TakesNoTimeFromTheOthers(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	modify := []room.Interface{room.PreRoomCreateModify}
	b.Register(t, room.Manifest{ID: "shade", Implements: modify, Essentials: modify, Shadow: true, TimeoutMs: new(60_000), Order: new(1)})
	b.Register(t, room.Manifest{ID: "app", Implements: modify})
	given := make(chan string, 1)
	b.Answer(t, room.PreRoomCreateModify, "app", func(msg *nats.Msg) {
		given <- msg.Header.Get("Room-Timeout-Ms")
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	r := b.Create(t, "r")
	assert.Equal(t, "1000", <-given, "its own timeout, whole")
	assert.Equal(t, room.Unavailable, r.Apps[0].Outcome)
	assert.Equal(t, "no live worker", r.Apps[0].Reason)
}

// A shadow that has not been fast gets no grace, until it has been fast again.
func TestShadow_SlowGetsNoGrace(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "shade", Implements: scene.OnJoin, Shadow: true, TimeoutMs: new(60_000)})
	var well atomic.Bool
	held := make(chan *nats.Msg, 100)
	b.Answer(t, room.PreRoomUserJoined, "shade", func(msg *nats.Msg) {
		if !well.Load() {
			held <- msg
			return
		}
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	join := func(n int) room.AppOutcome {
		r, err := scene.Join(t, b, strconv.Itoa(n))
		require.NoError(t, err)
		return r.Apps[0]
	}
	assert.GreaterOrEqual(t, join(0).Ms, 25.0)
	least := 25.0
	for n := range 10 {
		o := join(1 + n)
		require.Equal(t, "not waited for", o.Reason)
		least = min(least, o.Ms)
	}
	assert.Less(t, least, 25.0, "it was given no moment")

	well.Store(true)
	for n := 11; join(n).Outcome != room.Allowed; n++ { // a fast answer in the background counts; the service waits for the one after it
		require.Less(t, n, 1000)
	}
}
