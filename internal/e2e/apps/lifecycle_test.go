package apps_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// Operators change settings at runtime. Once a change is acknowledged, it is in force at every
// replica.
func TestOperator_DecisionsAreInForceAtEveryReplica(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for range 2 {
		harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	}
	b.Create(t, "r")
	b.Work(t, room.Manifest{ID: "guard", Essentials: scene.OnJoin}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
		return room.UserNotAllowed("closed")
	}})
	everywhere := func(says string, check func(room.Result, error)) {
		t.Helper()
		for range 15 { // the three answer in turn
			r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
			check(r, err)
			if err == nil {
				_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice})
				require.NoError(t, err, says)
			}
		}
	}
	denied := func(_ room.Result, err error) { require.Equal(t, "closed", scene.ErrorOf(t, err).Reason) }
	everywhere("registered", denied)

	m, err := b.Client.DisableApp(t.Context(), "guard")
	require.NoError(t, err)
	assert.False(t, m.IsEnabled())
	everywhere("disabled", func(_ room.Result, err error) {
		e := scene.ErrorOf(t, err)
		require.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
		require.Equal(t, "guard", e.App)
		require.Equal(t, "disabled", e.Reason)
	})

	m, err = b.Client.EnableApp(t.Context(), "guard")
	require.NoError(t, err)
	assert.True(t, m.IsEnabled())
	everywhere("enabled", denied)

	m, err = b.Client.ShadowApp(t.Context(), "guard", true)
	require.NoError(t, err)
	assert.True(t, m.Shadow)
	everywhere("a shadow", func(r room.Result, err error) {
		require.NoError(t, err)
		require.True(t, r.Apps[0].Shadow)
	})

	_, err = b.Client.ShadowApp(t.Context(), "guard", false)
	require.NoError(t, err)
	everywhere("no shadow", denied)

	m, err = b.Client.RemoveApp(t.Context(), "guard")
	require.NoError(t, err)
	assert.Equal(t, "guard", m.ID)
	everywhere("removed", func(r room.Result, err error) {
		require.NoError(t, err)
		require.Empty(t, r.Apps)
	})
}

// Once a registration is acknowledged, every replica asks the app.
func TestRegistration_InForceAtEveryReplicaOnceAcknowledged(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for range 2 {
		harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	}
	b.Create(t, "r")
	for range 10 {
		b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, Essentials: scene.OnJoin, Enabled: new(false)})
		for range 5 {
			_, err := scene.Join(t, b, "alice")
			require.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, err).Code)
		}
		_, err := b.Client.RemoveApp(t.Context(), "guard")
		require.NoError(t, err)
	}
}

// The settings of an operator outlast the registrations of workers, until the app is removed.
func TestOperator_DecisionsOutlastVersions(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	m := room.Manifest{ID: "a", Version: "1.0.0", Implements: scene.OnJoin, Shadow: true}
	b.Register(t, m)
	_, err := b.Client.DisableApp(t.Context(), "a")
	require.NoError(t, err)
	_, err = b.Client.ShadowApp(t.Context(), "a", false)
	require.NoError(t, err)

	for _, version := range []string{"1.0.0", "1.1.0", "0.9.0"} {
		m.Version = version
		stored, err := b.Client.RegisterApp(t.Context(), m)
		require.NoError(t, err)
		assert.False(t, stored.IsEnabled(), version)
		assert.False(t, stored.Shadow, version)
	}
	app, err := b.Client.App(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "1.1.0", app.Version)
	assert.Equal(t, room.Settings{Enabled: new(false), Shadow: new(false)}, app.State.Operator)

	_, err = b.Client.RemoveApp(t.Context(), "a")
	require.NoError(t, err)
	stored, err := b.Client.RegisterApp(t.Context(), m)
	require.NoError(t, err)
	assert.True(t, stored.IsEnabled())
	assert.True(t, stored.Shadow, "as its manifest says")
	assert.Equal(t, "0.9.0", stored.Version)
}

func TestRemove_App(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "a", Implements: []room.Interface{room.PostRoomCreate}})
	_, err := b.JS.Consumer(t.Context(), subjects.Events, "a")
	require.NoError(t, err)
	_, err = b.Client.RemoveApp(t.Context(), "a")
	require.NoError(t, err)
	_, err = b.JS.Consumer(t.Context(), subjects.Events, "a")
	require.ErrorIs(t, err, jetstream.ErrConsumerNotFound)
	for name, err := range map[string]error{
		"remove":  second(b.Client.RemoveApp(t.Context(), "a")),
		"enable":  second(b.Client.EnableApp(t.Context(), "a")),
		"disable": second(b.Client.DisableApp(t.Context(), "a")),
		"shadow":  second(b.Client.ShadowApp(t.Context(), "a", true)),
		"info":    second(b.Client.App(t.Context(), "a")),
	} {
		assert.Equal(t, room.CodeAppNotFound, scene.ErrorOf(t, err).Code, name)
	}
	apps, err := b.Client.Apps(t.Context())
	require.NoError(t, err)
	assert.Empty(t, apps)
	for subject, body := range map[string]string{
		"room.app.enable": `{}`, "room.app.disable": `{"id":"a b"}`, "room.app.remove": ``, "room.app.shadow": `{"id":"a"}`,
	} {
		scene.Refused(t, b.Request(t, subject, body), room.CodeInvalidRequest)
	}
}

func second[T any](_ T, err error) error { return err }

// A worker whose app is removed does not register it again. It continues with its events when
// another process has registered the app.
func TestRemove_RunningWorkerDoesNotRegisterAgain(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[string]()
	log := harness.NewOutput()
	m := room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomCreate}}
	b.WorkWith(t, appworker.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, m,
		appworker.Handlers{PostRoomCreate: func(_ context.Context, e room.Created) error {
			saw.See(e.Room.ID)
			return nil
		}})
	_, err := b.Client.RemoveApp(t.Context(), "ledger")
	require.NoError(t, err)
	log.Await(t, "app removed")
	apps, err := b.Client.Apps(t.Context())
	require.NoError(t, err)
	assert.Empty(t, apps)
	b.Create(t, "missed")
	b.Register(t, m)
	b.Create(t, "r")
	assert.Equal(t, "r", saw.One(t))
}

// A deleted consumer is created again, because the app is still registered.
func TestConsumer_DeletedIsCreatedAgain(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	saw := scene.NewSeen[string]()
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomCreate: func(_ context.Context, e room.Created) error {
		saw.See(e.Room.ID)
		return nil
	}})
	require.NoError(t, b.JS.DeleteConsumer(t.Context(), subjects.Events, "ledger"))
	require.Eventually(t, func() bool {
		_, err := b.JS.Consumer(t.Context(), subjects.Events, "ledger")
		return err == nil
	}, harness.ReplyTime, harness.Tick)
	b.Create(t, "r")
	assert.Equal(t, "r", saw.One(t))
}

// The list shows the state of every app, summed over the replicas.
func TestAppList_SumsReplicas(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	b.Create(t, "r")
	m := room.Manifest{ID: "guard", Version: "2.0.0", Order: new(1), Essentials: scene.OnJoin, TimeoutMs: new(10_000)}
	guard := appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
		if e.JoiningUser.ID == "mallory" {
			return room.UserNotAllowed("no")
		}
		return nil
	}}
	stop := b.Work(t, m, guard, appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error { return nil }})
	b.Work(t, m, guard, appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error { return nil }})
	b.Register(t, room.Manifest{ID: "absent", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomUserJoined}})
	for range 10 { // two replicas share them
		_, err := scene.Join(t, b, "alice")
		require.NoError(t, err)
		_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice})
		require.NoError(t, err)
		_, err = scene.Join(t, b, "mallory")
		require.Error(t, err)
	}
	var apps []room.App
	require.Eventually(t, func() bool { // a busy replica or worker may be late for the sum
		var err error
		apps, err = b.Client.Apps(t.Context())
		return err == nil && len(apps) == 2 && apps[0].State.Replicas == 2 && len(apps[0].State.Workers) == 2
	}, harness.ReplyTime, harness.Tick)
	g, a := apps[0].State, apps[1].State
	assert.Equal(t, "guard", apps[0].ID)
	assert.Equal(t, 2, g.Replicas)
	require.Len(t, g.Workers, 2)
	assert.Equal(t, "2.0.0", g.Workers[0].Version)
	assert.GreaterOrEqual(t, g.Calls, uint64(20), "a replica that lost a race has asked again")
	assert.GreaterOrEqual(t, g.Allowed, uint64(10))
	assert.GreaterOrEqual(t, g.Denied, uint64(10))
	assert.Equal(t, g.Calls, g.Allowed+g.Denied)
	assert.Zero(t, g.Failed+g.TimedOut+g.Unavailable+g.Late+g.Retried)
	assert.Positive(t, g.P50Ms)
	assert.GreaterOrEqual(t, g.P99Ms, g.P50Ms)
	assert.Equal(t, room.BreakerClosed, g.Breaker)
	alone, err := b.Client.App(t.Context(), "guard")
	require.NoError(t, err)
	assert.Equal(t, alone.State.Figures, alone.State.Interfaces[room.PreRoomUserJoined])
	assert.Equal(t, g.Calls, a.Unavailable)
	assert.Empty(t, a.Workers)
	assert.EqualValues(t, 10, *a.Backlog, "ten joins wait for it")

	require.NoError(t, stop())
	app, err := b.Client.App(t.Context(), "guard")
	require.NoError(t, err)
	assert.Len(t, app.State.Workers, 1)
	require.Eventually(t, func() bool {
		app, err := b.Client.App(t.Context(), "guard")
		return err == nil && *app.State.Backlog == 0
	}, harness.ReplyTime, harness.Tick)
}

func TestCLIApps(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Work(t, room.Manifest{ID: "guard", Essentials: scene.OnJoin}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
		return room.UserNotAllowed("closed")
	}})
	c := harness.NewCLI(t, b.Server.URL())
	assert.Equal(t, "app guard 1.0.0 is enabled, shadow\n", c.OK("app", "shadow", "guard", "on"))
	c.OK("room", "join", "r", "alice")
	assert.Regexp(t, `(?m)^guard +app +1\.0\.0 +100 +enabled, shadow +1 +1 +0 +0 +0 .* closed +- +0 +PreRoomUserJoined\*$`, c.OK("app", "ls"))
	out := c.OK("app", "info", "guard")
	for _, line := range []string{
		`(?m)^state +enabled, shadow \(decided by an operator: shadow on\)$`,
		`(?m)^implements +PreRoomUserJoined \(essential\)$`,
		`(?m)^workers +1\.0\.0 \w+$`,
		`(?m)^INTERFACE +CALLS +ALLOWED +DENIED +WOULD DENY `,
		`(?m)^PreRoomUserJoined +1 +0 +0 +1 +0 +0 +0 .* closed$`,
	} {
		assert.Regexp(t, line, out)
	}
	assert.Equal(t, "app guard 1.0.0 is enabled\n", c.OK("app", "shadow", "guard", "off"))
	assert.Contains(t, c.Fails(3, "room", "join", "r", "bob"), "app guard denied it: closed")
	assert.Equal(t, "app guard 1.0.0 is disabled\n", c.OK("app", "disable", "guard", "--force"))
	assert.Contains(t, c.Fails(5, "room", "join", "r", "bob"), "essential_app_unavailable: app guard is essential for PreRoomUserJoined and gave no usable answer: unavailable: disabled")
	assert.True(t, harness.JSONLines[room.Manifest](t, c.OK("app", "enable", "guard", "--json"))[0].IsEnabled())
	assert.Equal(t, "app guard is removed\n", c.OK("app", "remove", "guard"))
	for _, verb := range []string{"enable", "disable", "remove", "info"} {
		assert.Contains(t, c.Fails(4, "app", verb, "guard"), `there is no app "guard"`)
		c.Fails(2, "app", verb)
	}
	assert.Contains(t, c.Fails(2, "app", "shadow", "guard", "maybe"), `shadow must be on or off, not "maybe"`)
}

// An older worker is told that a later version is registered, and keeps serving.
func TestRegistration_OlderWorkerKeepsServing(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Version: "2.0.0", Implements: scene.OnJoin})
	log := harness.NewOutput()
	b.WorkWith(t, appworker.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, room.Manifest{ID: "guard"}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
		return room.UserNotAllowed("1.0.0 says no")
	}})
	log.Await(t, "another version of the app is registered")
	_, err := scene.Join(t, b, "alice")
	assert.Equal(t, "1.0.0 says no", scene.ErrorOf(t, err).Reason)
	app, err := b.Client.App(t.Context(), "guard")
	require.NoError(t, err)
	assert.Equal(t, "2.0.0", app.Version)
	assert.Equal(t, "1.0.0", app.State.Workers[0].Version)
}

// A worker does not start if its manifest differs from the registered one of the same version.
func TestRegistration_OtherManifestOfSameVersionDoesNotStart(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin})
	allow := appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }}
	err := appworker.Run(t.Context(), appworker.Config{Conn: harness.Connect(t, b.Server), Logger: harness.Log(t)},
		room.Manifest{ID: "guard", Version: "1.0.0", Essentials: scene.OnJoin}, allow)
	require.ErrorContains(t, err, "registered with another manifest (essentials)")
}

// After concurrent registrations and removals at several replicas, the app can be registered, and
// its consumer works.
func TestRegistration_ConcurrentRemovals(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	m := room.Manifest{ID: "a", Implements: []room.Interface{room.PostRoomCreate}}
	for n := range 12 {
		var racing sync.WaitGroup
		m.Version = fmt.Sprintf("1.%d.0", n)
		b.Register(t, m)
		racing.Go(func() { _, _ = b.Client.RemoveApp(t.Context(), "a") })
		for k := range 3 {
			racing.Go(func() {
				later := m
				later.Version = fmt.Sprintf("1.%d.%d", n, k+1)
				_, _ = b.Client.RegisterApp(t.Context(), later)
			})
		}
		racing.Wait()
		m.Version = fmt.Sprintf("2.%d.0", n)
		_, err := b.Client.RegisterApp(t.Context(), m)
		require.NoError(t, err)
		created := b.Create(t, fmt.Sprintf("r%d", n))
		consumer, err := b.JS.Consumer(t.Context(), subjects.Events, "a")
		require.NoError(t, err)
		messages, err := consumer.Fetch(1000, jetstream.FetchMaxWait(time.Second))
		require.NoError(t, err)
		var last uint64
		for msg := range messages.Messages() {
			meta, err := msg.Metadata()
			require.NoError(t, err)
			last = meta.Sequence.Stream
			_ = msg.Ack()
			if last == created.Event.Seq {
				break
			}
		}
		require.Equal(t, created.Event.Seq, last)
		_, err = b.Client.RemoveApp(t.Context(), "a")
		require.NoError(t, err)
	}
}
