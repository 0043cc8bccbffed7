package apps_test

import (
	"context"
	"log/slog"
	"strings"
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

// Versions of app ledger.
var (
	onJoin         = room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomUserJoined}}
	onCreateOrJoin = room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomCreate, room.PostRoomUserJoined}}
	beforeLeave    = room.Manifest{ID: "ledger", Implements: []room.Interface{room.PreRoomUserLeave}, Essentials: []room.Interface{room.PreRoomUserLeave}}
)

func at(version string, m room.Manifest) room.Manifest {
	m.Version = version
	return m
}

// seeJoins handles post-events of joins.
func seeJoins(saw scene.Seen[string]) appworker.Handlers {
	return appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID)
		return nil
	}}
}

// seeCreates handles post-events of creations.
func seeCreates(saw scene.Seen[string]) appworker.Handlers {
	return appworker.Handlers{PostRoomCreate: func(_ context.Context, e room.Created) error {
		saw.See(e.Room.ID)
		return nil
	}}
}

func consumerOf(t *testing.T, b *harness.Bus, stream, app string) *jetstream.ConsumerInfo {
	t.Helper()
	c, err := b.JS.Consumer(t.Context(), stream, app)
	require.NoError(t, err)
	return c.CachedInfo()
}

// deliverAndDie delivers n events to a worker that dies.
func deliverAndDie(t *testing.T, b *harness.Bus, n int) {
	t.Helper()
	b.SetAckWait(t, "ledger", 2*time.Second)
	c, err := b.JS.Consumer(t.Context(), subjects.Events, "ledger")
	require.NoError(t, err)
	for range n {
		_, err := c.Next(jetstream.FetchMaxWait(harness.ReplyTime))
		require.NoError(t, err)
	}
}

func TestVersions_EventsOfADroppedInterfaceAreSkipped(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, onCreateOrJoin)
	for _, id := range []string{"r", "s", "t"} {
		b.Create(t, id)
	}
	deliverAndDie(t, b, 3)
	scene.JoinEach(t, b, "r", "alice")
	saw, log := scene.NewSeen[string](), harness.NewOutput()
	b.WorkWith(t, appworker.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, at("2.0.0", onJoin), seeJoins(saw))
	assert.Equal(t, "alice", saw.One(t))
	b.RequireDrained(t, "ledger")
	assert.EqualValues(t, 4, consumerOf(t, b, subjects.Events, "ledger").AckFloor.Stream)
	assert.Zero(t, b.Messages(t, subjects.DeadLetters))
	line := log.Await(t, `level=INFO msg="events passed over[^\n]*`)[0]
	assert.Contains(t, line, "interface=PostRoomCreate registered=2.0.0")
	assert.Equal(t, 1, strings.Count(log.String(), "events passed over"))
}

func TestVersions_ReplayForADroppedInterfaceIsSkipped(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	discarding := appworker.Handlers{PostRoomCreate: func(context.Context, room.Created) error { return appworker.Discard(assert.AnError) }}
	saw := scene.NewSeen[string]()
	stop := b.Work(t, onCreateOrJoin, discarding, seeJoins(saw))
	b.Create(t, "r")
	scene.DeadLetters(t, b, 1)
	require.NoError(t, stop())
	b.Work(t, at("2.0.0", onJoin), seeJoins(saw))
	harness.NewCLI(t, b.Server.URL()).OK("dead", "replay", "--app", "ledger")
	require.Eventually(t, func() bool { return b.Messages(t, subjects.Replays) == 0 }, harness.ReplyTime, harness.Tick)
	assert.Zero(t, b.Messages(t, subjects.DeadLetters))
}

// An answer about the registered version is not used for a later event.
func TestVersions_EventOfAnAddedInterfaceIsDelivered(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, onCreateOrJoin)
	b.Create(t, "r")
	deliverAndDie(t, b, 1)
	log := harness.NewOutput()
	b.WorkWith(t, appworker.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, at("2.0.0", onJoin), seeJoins(scene.NewSeen[string]()))
	log.Await(t, "events passed over")
	b.Register(t, at("3.0.0", onCreateOrJoin))
	b.Create(t, "s")
	log.Await(t, "this worker does not implement the interface")
	saw := scene.NewSeen[string]()
	b.Work(t, at("3.0.0", onCreateOrJoin), seeCreates(saw), seeJoins(scene.NewSeen[string]()))
	assert.Equal(t, "s", saw.One(t))
}

func TestVersions_ConsumerIsParkedWithoutPostInterface(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	old, later := scene.NewSeen[string](), scene.NewSeen[string]()
	b.Work(t, onJoin, seeJoins(old)) // it goes on pulling
	scene.JoinEach(t, b, "r", "alice")
	assert.Equal(t, "alice", old.One(t))
	b.Register(t, at("2.0.0", beforeLeave))
	scene.JoinEach(t, b, "r", "bob", "carol")
	app, err := b.Client.App(t.Context(), "ledger")
	require.NoError(t, err)
	assert.Nil(t, app.State.Backlog)
	for _, stream := range []string{subjects.Events, subjects.Replays} {
		assert.True(t, consumerOf(t, b, stream, "ledger").Paused, stream)
	}
	assert.EqualValues(t, 2, consumerOf(t, b, subjects.Events, "ledger").NumPending)
	old.None(t)
	b.Register(t, at("3.0.0", onJoin))
	b.Work(t, at("3.0.0", onJoin), seeJoins(later))
	got := make(map[string]bool)
	for range 2 {
		select {
		case user := <-old.Ch:
			got[user] = true
		case user := <-later.Ch:
			got[user] = true
		case <-t.Context().Done():
			t.Fatal("events are missing")
		}
	}
	assert.Equal(t, map[string]bool{"bob": true, "carol": true}, got)
	assert.False(t, consumerOf(t, b, subjects.Replays, "ledger").Paused)
}

func TestVersions_FailedRegistrationLeavesTheConsumer(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, onCreateOrJoin)
	kv, err := b.JS.Stream(t.Context(), subjects.AppsStream)
	require.NoError(t, err)
	cfg := kv.CachedInfo().Config
	cfg.MaxMsgSize = 400
	_, err = b.JS.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	for _, m := range []room.Manifest{onJoin, beforeLeave} {
		m.Version, m.Description = "2.0.0", strings.Repeat("long ", 100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = b.Client.RegisterApp(ctx, m)
		cancel()
		require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	}
	is := consumerOf(t, b, subjects.Events, "ledger")
	assert.ElementsMatch(t, []string{"room.post.create.*", "room.post.userjoin.*"}, is.Config.FilterSubjects)
	assert.False(t, is.Paused)
}

// If the registry is lost and the consumers are not, the events that wait in them are still
// delivered.
func TestVersions_RegistrationAfterLostRegistryLosesNoEvent(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Hour)
	since := onJoin
	since.Deliver, since.DeliverSince = room.DeliverSince, &past
	all := onJoin
	all.Deliver = room.DeliverAll
	for name, c := range map[string]struct {
		was, now room.Manifest
		handled  bool // an event before
		waits    bool // an event
		refused  bool
		pending  uint64
	}{
		"begins alike":              {was: onJoin, now: onJoin, waits: true, pending: 1},
		"in use, begins later":      {was: all, now: onJoin, handled: true, waits: true, pending: 1},
		"in use, begins earlier":    {was: onJoin, now: all, handled: true, waits: true, pending: 1},
		"in use, nothing waits":     {was: all, now: onJoin, handled: true},
		"unused, begins earlier":    {was: onJoin, now: all, waits: true, pending: 1},
		"unused, begins since":      {was: onJoin, now: since, waits: true, pending: 1},
		"unused, begins later":      {was: all, now: onJoin, waits: true, refused: true, pending: 1},
		"unused, nothing waits":     {was: all, now: onJoin},
		"no post-interface, parked": {was: onJoin, now: at("1.0.0", beforeLeave), waits: true, pending: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Register(t, c.was)
			b.Create(t, "r")
			if c.handled {
				scene.JoinEach(t, b, "r", "alice")
				consumer, err := b.JS.Consumer(t.Context(), subjects.Events, "ledger")
				require.NoError(t, err)
				msg, err := consumer.Next(jetstream.FetchMaxWait(harness.ReplyTime))
				require.NoError(t, err)
				require.NoError(t, msg.DoubleAck(t.Context()))
			}
			if c.waits {
				scene.JoinEach(t, b, "r", "bob")
			}
			kv, err := b.JS.KeyValue(t.Context(), subjects.AppsBucket)
			require.NoError(t, err)
			require.NoError(t, kv.Purge(t.Context(), "ledger"))
			require.Eventually(t, func() bool {
				apps, err := b.Client.Apps(t.Context())
				return err == nil && len(apps) == 0
			}, harness.ReplyTime, harness.Tick)
			_, err = b.Client.RegisterApp(t.Context(), c.now)
			if c.refused {
				assert.Contains(t, scene.ErrorOf(t, err).Message, "left from an earlier registration")
				assert.Equal(t, room.CodeInvalidRequest, scene.ErrorOf(t, err).Code)
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, c.pending, consumerOf(t, b, subjects.Events, "ledger").NumPending)
		})
	}
}
