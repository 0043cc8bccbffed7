package apps_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	m := room.Manifest{ID: "a", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomCreate}}
	stored, err := b.Client.RegisterApp(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, m.WithDefaults(), stored)

	m.Order, m.Implements = new(room.DefaultOrder), []room.Interface{room.PostRoomCreate, room.PreRoomUserJoined}
	again, err := b.Client.RegisterApp(t.Context(), m)
	require.NoError(t, err, "the same manifest in another form")
	assert.Equal(t, stored, again)
	m.Version = "1.0.0+another.build"
	_, err = b.Client.RegisterApp(t.Context(), m)
	require.NoError(t, err, "SemVer gives builds no order")

	got, err := b.Client.App(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, stored, got.Manifest)
	b.Register(t, room.Manifest{ID: "0", Implements: m.Implements})

	// Another service on the same NATS server knows them from the start.
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	for range 20 { // the two answer in turn
		apps, err := b.Client.Apps(t.Context())
		require.NoError(t, err)
		require.Len(t, apps, 2)
		assert.Equal(t, "0", apps[0].ID)
	}
}

// A version has one manifest. Another manifest of the same version is refused, and nothing changes.
func TestRegistry_OtherManifestOfSameVersionIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	m := room.Manifest{ID: "a", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomCreate}}
	stored, err := b.Client.RegisterApp(t.Context(), m)
	require.NoError(t, err)
	for field, change := range map[string]func(*room.Manifest){
		"description": func(m *room.Manifest) { m.Description = "another" },
		"implements":  func(m *room.Manifest) { m.Implements = m.Implements[:1] },
		"essentials":  func(m *room.Manifest) { m.Essentials = m.Implements[:1] },
		"order":       func(m *room.Manifest) { m.Order = new(1) },
		"timeoutMs":   func(m *room.Manifest) { m.TimeoutMs = new(1) },
		"when":        func(m *room.Manifest) { m.When = map[room.Interface]string{room.PreRoomUserJoined: "true"} },
		"shadow":      func(m *room.Manifest) { m.Shadow = true },
		"enabled":     func(m *room.Manifest) { m.Enabled = new(false) },
	} {
		other := m
		change(&other)
		_, err := b.Client.RegisterApp(t.Context(), other)
		e := scene.ErrorOf(t, err)
		assert.Equal(t, room.CodeInvalidRequest, e.Code)
		assert.Contains(t, e.Message, "version 1.0.0 of app a is registered with another manifest ("+field+")")
		assert.Contains(t, e.Message, "later version")
	}
	got, err := b.Client.App(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, stored, got.Manifest)
	_, err = b.JS.Consumer(t.Context(), subjects.Events, "a")
	require.NoError(t, err, "a refused registration changes no consumer")
}

// A worker of an old version that registers again, as after a reconnect, does not undo the
// registration of a later version.
func TestRegistry_OldVersionDoesNotUndoALaterVersion(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	old := room.Manifest{ID: "a", Version: "1.9.0", Implements: []room.Interface{room.PostRoomCreate}}
	later := room.Manifest{ID: "a", Version: "1.10.0", Implements: []room.Interface{room.PreRoomUserJoined}}
	for _, m := range []room.Manifest{old, later, old} {
		b.Register(t, m)
	}
	got, err := b.Client.App(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, later.WithDefaults(), got.Manifest)
	assert.Nil(t, got.State.Backlog, "the later one has no post-interfaces")
}

func TestRegistry_RegisteringRepairsTheBucket(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	assert.Equal(t, "[]", string(b.Request(t, "room.app.list", "").Data), "no apps are an empty list")
	m := room.Manifest{ID: "a", Implements: []room.Interface{room.PreRoomUserJoined}}
	kv, err := b.JS.KeyValue(t.Context(), subjects.AppsBucket)
	require.NoError(t, err)
	listed := func() int {
		apps, err := b.Client.Apps(t.Context())
		require.NoError(t, err)
		return len(apps)
	}

	b.Register(t, m)
	require.NoError(t, kv.Delete(t.Context(), "a"))
	require.Eventually(t, func() bool { return listed() == 0 }, harness.ReplyTime, harness.Tick, "a deleted app is removed")
	b.Register(t, m)
	assert.Equal(t, 1, listed())

	_, err = kv.Put(t.Context(), "a", []byte(`{"id":"a","implements":["PreCoffee"]}`))
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "b", []byte(`garbage`))
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "c", []byte(`{"id":"c","version":"1.0.0","implements":["PostRoomCreate"]}`))
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "a.bak", []byte(`{"id":"a","version":"9.0.0","implements":["PreRoomUserJoined"]}`))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return listed() == 2 }, harness.ReplyTime, harness.Tick, "a is unchanged, b is removed, c is new, and the copy is no app")
	b.Create(t, "r")
	_, err = scene.Join(t, b, "alice")
	require.NoError(t, err)
	for _, id := range []string{"a", "b"} {
		m.ID = id
		b.Register(t, m)
	}
	assert.Equal(t, 3, listed())
}

// A NATS server comes back without its data, and a room service is started again on it. The running
// workers register again.
func TestRegistry_WorkersRegisterAgainAfterDataLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &harness.Restartable{Config: embedded.Config{StoreDir: filepath.Join(dir, "a"), Listen: harness.FreeAddress(t)}}
	s.Start(t)
	t.Cleanup(func() { s.Server.Shutdown() })
	service := harness.Serve(t, harness.Connect(t, s.Server), roomsvc.Config{})
	b := harness.BusOn(t, s.Server)
	saw := scene.NewSeen[string]()
	b.Work(t, room.Manifest{ID: "guard"}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
		return room.UserNotAllowed("no")
	}})
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomCreate: func(_ context.Context, e room.Created) error {
		saw.See(e.Room.ID)
		return nil
	}})
	require.NoError(t, service.Stop(t.Context()))
	s.Server.Shutdown()
	s.Config.StoreDir = filepath.Join(dir, "b")
	s.Start(t)
	harness.Serve(t, harness.Connect(t, s.Server), roomsvc.Config{})
	require.Eventually(t, func() bool {
		apps, err := b.Client.Apps(t.Context())
		return err == nil && len(apps) == 2
	}, 3*harness.ReplyTime, harness.Tick)
	b.Create(t, "r")
	assert.Equal(t, "r", saw.One(t))
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	assert.Equal(t, "no", scene.ErrorOf(t, err).Reason)
}

// If this service cannot compile an app's condition that another version of the service accepted,
// the app is not skipped. If it is essential it blocks, now and after a restart.
func TestRegistry_UnknownConditionFails(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	kv, err := b.JS.KeyValue(t.Context(), subjects.AppsBucket)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "guard", []byte(`{"id":"guard","version":"1.0.0","implements":["PreRoomUserJoined","PreRoomUserLeave"],
		"essentials":["PreRoomUserJoined"],"when":{"PreRoomUserJoined":"room.colour == 'red'"}}`))
	require.NoError(t, err)
	blocked := func() bool {
		_, err := scene.Join(t, b, "alice")
		if err == nil {
			_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice})
			require.NoError(t, err)
			return false
		}
		e := scene.ErrorOf(t, err)
		assert.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
		assert.Contains(t, e.Reason, "undefined field 'colour'")
		return true
	}
	require.Eventually(t, blocked, harness.ReplyTime, harness.Tick)
	nc := harness.Connect(t, b.Server)
	require.NoError(t, b.Service.Stop(t.Context()))
	harness.Serve(t, nc, roomsvc.Config{})
	assert.True(t, blocked())
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: room.User{ID: "owner"}})
	require.NoError(t, err, "it has no condition for leaves")
}

// Services that reconnect to a server read the registry before they decide. Every replica asks the
// apps that were registered meanwhile.
func TestRegistry_IsReadAgainAfterReconnect(t *testing.T) {
	t.Parallel()
	s := &harness.Restartable{Config: embedded.Config{StoreDir: t.TempDir(), Listen: harness.FreeAddress(t)}}
	s.Start(t)
	t.Cleanup(func() { s.Server.Shutdown() })
	for range 3 {
		harness.Serve(t, harness.Connect(t, s.Server), roomsvc.Config{})
	}
	b := harness.BusOn(t, s.Server)
	b.Create(t, "r")
	for n := range 3 {
		s.Server.Shutdown()
		s.Start(t)
		m := room.Manifest{ID: "guard", Version: fmt.Sprintf("1.%d.0", n), Implements: scene.OnJoin, Essentials: scene.OnJoin, Enabled: new(false)}
		require.Eventually(t, func() bool {
			_, err := b.Client.RegisterApp(t.Context(), m)
			return err == nil
		}, 3*harness.ReplyTime, harness.Tick)
		for range 12 {
			_, err := scene.Join(t, b, "alice")
			require.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, err).Code)
		}
		_, err := b.Client.RemoveApp(t.Context(), "guard")
		require.NoError(t, err)
	}
}

// A replica that does not know of a change yet delays its acknowledgement, also if the asked
// replica has nothing to change.
func TestRegistry_AcknowledgementWaitsForLaggingReplicas(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	var asked atomic.Int32
	sub, err := b.NC.Subscribe("room.app.replica", func(msg *nats.Msg) {
		if n := asked.Add(1); n%4 == 1 {
			_ = msg.Respond([]byte(`{"revision":0}`))
		} else if n%4 == 2 {
			_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"429"}}, Data: []byte(`{"code":"overloaded"}`)})
		} else {
			_ = msg.Respond([]byte(`{"revision":1000000}`))
		}
	})
	require.NoError(t, err)
	require.NoError(t, b.NC.Flush())
	for n := range 2 {
		b.Register(t, room.Manifest{ID: "a", Implements: scene.OnJoin})
		require.GreaterOrEqual(t, asked.Load(), int32(3+4*n), "the lagging replica is asked until it has the change")
		for asked.Load()%4 != 0 {
			asked.Add(1)
		}
	}
	_ = sub.Unsubscribe()
}

// The server of a service's watch may be lost while the service stays connected. The next change
// reveals it.
func TestRegistry_LostWatchIsNoticedAtTheNextChange(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for range 2 {
		harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	}
	b.Create(t, "r")
	stream, err := b.JS.Stream(t.Context(), subjects.AppsStream)
	require.NoError(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		require.NoError(t, stream.DeleteConsumer(t.Context(), name))
	}
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, Essentials: scene.OnJoin, Enabled: new(false)})
	for range 15 {
		_, err := scene.Join(t, b, "alice")
		require.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, err).Code)
	}
}
