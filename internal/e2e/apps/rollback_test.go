package apps_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

func rollback(t *testing.T, b *harness.Bus, version string) room.Manifest {
	t.Helper()
	m, err := b.Client.RollbackApp(t.Context(), "ledger", version)
	require.NoError(t, err)
	return m
}

func leave(t *testing.T, b *harness.Bus, user string) error {
	t.Helper()
	_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: room.User{ID: user}})
	return err
}

func stateOf(t *testing.T, b *harness.Bus) room.App {
	t.Helper()
	app, err := b.Client.App(t.Context(), "ledger")
	require.NoError(t, err)
	return app
}

func TestRollback(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, onJoin)
	b.Create(t, "r")
	scene.JoinEach(t, b, "r", "alice", "bob")
	_, err := b.Client.ShadowApp(t.Context(), "ledger", false)
	require.NoError(t, err)
	b.Register(t, at("2.0.0", beforeLeave))
	assert.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, leave(t, b, "alice")).Code)

	assert.Equal(t, "1.0.0", rollback(t, b, "1.0.0").Version)
	require.NoError(t, leave(t, b, "alice"))
	app := stateOf(t, b)
	assert.EqualValues(t, 2, *app.State.Backlog)
	assert.Equal(t, []string{"2.0.0"}, app.State.Remembered)
	assert.Equal(t, "2.0.0", app.State.RolledBackFrom)
	assert.Equal(t, room.Settings{Shadow: new(false)}, app.State.Operator)

	saw := scene.NewSeen[string]()
	b.Work(t, onJoin, seeJoins(saw))
	assert.Equal(t, "alice", saw.One(t))
	assert.Equal(t, "bob", saw.One(t))
	b.RequireDrained(t, "ledger")
	saw.None(t)
}

// Workers of the version rolled back from, and of a version in between, change nothing until the
// rollback has ended.
func TestRollback_WorkersOfRolledBackVersions(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, onJoin)
	b.Register(t, at("2.0.0", beforeLeave))
	rollback(t, b, "1.0.0")
	for _, m := range []room.Manifest{at("2.0.0", beforeLeave), at("1.5.0", onCreateOrJoin), at("2.0.0", onCreateOrJoin), at("0.9.0", beforeLeave)} {
		counts, err := b.Client.RegisterApp(t.Context(), m)
		require.NoError(t, err)
		assert.Equal(t, onJoin.WithDefaults(), counts, m.Version)
	}
	_, err := b.Client.RegisterApp(t.Context(), at("1.0.0", onCreateOrJoin))
	assert.Contains(t, scene.ErrorOf(t, err).Message, "another manifest")
	assert.Equal(t, "2.0.0", stateOf(t, b).State.RolledBackFrom)

	b.Register(t, at("2.0.1", onCreateOrJoin))
	app := stateOf(t, b)
	assert.Equal(t, "2.0.1", app.Version)
	assert.Empty(t, app.State.RolledBackFrom)
	assert.Equal(t, []string{"1.0.0", "2.0.0"}, app.State.Remembered)
	counts, err := b.Client.RegisterApp(t.Context(), at("2.0.0", beforeLeave))
	require.NoError(t, err)
	assert.Equal(t, "2.0.1", counts.Version)
}

func TestRollback_Undone(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	scene.JoinEach(t, b, "r", "alice")
	b.Register(t, onJoin)
	b.Register(t, at("2.0.0", beforeLeave))
	rollback(t, b, "1.0.0")
	rollback(t, b, "2.0.0")
	app := stateOf(t, b)
	assert.Equal(t, "2.0.0", app.Version)
	assert.Empty(t, app.State.RolledBackFrom)
	assert.Nil(t, app.State.Backlog)
	assert.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, leave(t, b, "alice")).Code)
}

func TestRollback_InForceAtEveryReplicaOnceAcknowledged(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for range 2 {
		harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	}
	b.Create(t, "r")
	b.Register(t, onJoin)
	withoutWorker := at("2.0.0", beforeLeave)
	withoutWorker.TimeoutMs = new(50)
	b.Register(t, withoutWorker)
	for range 5 {
		rollback(t, b, "1.0.0")
		for range 9 { // the three answer in turn
			scene.JoinEach(t, b, "r", "alice")
			require.NoError(t, leave(t, b, "alice"))
			require.Equal(t, "1.0.0", stateOf(t, b).Version)
		}
		rollback(t, b, "2.0.0")
		scene.JoinEach(t, b, "r", "alice")
		for range 9 {
			require.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, leave(t, b, "alice")).Code)
		}
	}
}

func TestRollback_RefusedChangesNothing(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, onJoin)
	b.Register(t, at("2.0.0", beforeLeave))
	_, err := b.Client.RollbackApp(t.Context(), "ledger", "1.5.0")
	assert.Equal(t, room.CodeInvalidRequest, scene.ErrorOf(t, err).Code)
	assert.Contains(t, scene.ErrorOf(t, err).Message, "remembered besides 2.0.0: 1.0.0")
	for _, body := range []string{``, `{}`, `{"id":"ledger"}`, `{"id":"ledger","version":"one"}`, `{"id":"a b","version":"1.0.0"}`} {
		scene.Refused(t, b.Request(t, "room.app.rollback", body), room.CodeInvalidRequest)
	}
	assert.Equal(t, "2.0.0", stateOf(t, b).Version)
	_, err = b.Client.RemoveApp(t.Context(), "ledger")
	require.NoError(t, err)
	_, err = b.Client.RollbackApp(t.Context(), "ledger", "1.0.0")
	assert.Equal(t, room.CodeAppNotFound, scene.ErrorOf(t, err).Code)
}

// Another version of the service may have accepted a condition that this one cannot compile.
func TestRollback_UncompilableConditionIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	kv, err := b.JS.KeyValue(t.Context(), subjects.AppsBucket)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "ledger", []byte(`{"id":"ledger","version":"2.0.0","implements":["PreRoomUserJoined"],"remembered":[
		{"id":"ledger","version":"1.0.0","implements":["PreRoomUserJoined"],"when":{"PreRoomUserJoined":"room.colour == 'red'"}}]}`))
	require.NoError(t, err)
	_, err = b.Client.RollbackApp(t.Context(), "ledger", "1.0.0")
	assert.Contains(t, scene.ErrorOf(t, err).Message, "undefined field 'colour'")
	require.Eventually(t, func() bool {
		app, err := b.Client.App(t.Context(), "ledger")
		return err == nil && app.Version == "2.0.0" && app.State.RolledBackFrom == ""
	}, harness.ReplyTime, harness.Tick)
}

// A rollback does not change the start of the events, nor the max deliveries.
func TestRollback_ConsumerKeepsItsPosition(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	scene.JoinEach(t, b, "r", "alice")
	v1 := onJoin
	v1.Deliver, v1.MaxAttempts = room.DeliverAll, new(3)
	b.Register(t, v1)
	scene.JoinEach(t, b, "r", "bob")
	v2 := at("2.0.0", onCreateOrJoin)
	v2.MaxAttempts = new(9)
	b.Register(t, v2)
	b.Create(t, "s")
	b.SetAckWait(t, "ledger", harness.ReplyTime)
	assert.Equal(t, new(3), rollback(t, b, "1.0.0").MaxAttempts)
	is := consumerOf(t, b, subjects.Events, "ledger")
	assert.EqualValues(t, 2, is.NumPending, "both joins")
	assert.Equal(t, jetstream.DeliverAllPolicy, is.Config.DeliverPolicy)
	assert.Equal(t, 13, is.Config.MaxDeliver, "lowered, it would lose events that were delivered more often")
	assert.Equal(t, harness.ReplyTime, is.Config.AckWait)
}

// While workers of both versions run, each handles the interfaces that it implements of the version
// in force.
func TestRollback_WorkersOfBothVersionsRun(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	joined, created := scene.NewSeen[string](), scene.NewSeen[string]()
	b.Work(t, onJoin, seeJoins(joined))
	b.Work(t, room.Manifest{ID: "ledger", Version: "2.0.0"}, seeCreates(created))
	scene.JoinEach(t, b, "r", "alice")
	b.Create(t, "s")
	assert.Equal(t, "s", created.One(t))
	rollback(t, b, "1.0.0")
	b.Create(t, "u")
	scene.JoinEach(t, b, "s", "bob", "carol")
	for _, user := range []string{"bob", "carol"} {
		assert.Equal(t, user, joined.One(t))
	}
	b.RequireDrained(t, "ledger")
	created.None(t)
	assert.Zero(t, b.Messages(t, subjects.DeadLetters))
}

// A record of a service that knows no rollback is still readable.
func TestRollback_ToManifestOfOldRecord(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	kv, err := b.JS.KeyValue(t.Context(), subjects.AppsBucket)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), "ledger", []byte(`{"id":"ledger","version":"1.0.0","implements":["PreRoomUserJoined"],"operator":{"enabled":false}}`))
	require.NoError(t, err)
	b.Register(t, at("2.0.0", beforeLeave))
	m := rollback(t, b, "1.0.0")
	assert.Equal(t, scene.OnJoin, m.Implements)
	assert.False(t, m.IsEnabled())
}

func TestCLIRollback(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, onJoin)
	b.Register(t, at("2.0.0", beforeLeave))
	c := harness.NewCLI(t, b.Server.URL())
	assert.Regexp(t, `(?m)^remembered +1\.0\.0$`, c.OK("app", "info", "ledger"))
	assert.Equal(t, "app ledger 1.0.0 is enabled\n", c.OK("app", "rollback", "ledger", "1.0.0"))
	out := c.OK("app", "info", "ledger")
	assert.Regexp(t, `(?m)^rolled back from +2\.0\.0$`, out)
	assert.Regexp(t, `(?m)^remembered +2\.0\.0$`, out)
	assert.Contains(t, c.Fails(2, "app", "rollback", "ledger", "3.0.0"), "remembered besides 1.0.0: 2.0.0")
	assert.Contains(t, c.Fails(4, "app", "rollback", "nobody", "1.0.0"), `there is no app "nobody"`)
	c.Fails(2, "app", "rollback", "ledger")
}
