package delivery_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// The manifest decides where the events of a new app begin. Later registrations of a worker change
// nothing.
func TestDeliver_StartOfANewApp(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	scene.JoinEach(t, b, "r", "alice")
	since := b.Events(t)[1].Time
	scene.JoinEach(t, b, "r", "bob")
	for name, c := range map[string]struct {
		m    room.Manifest
		sees []string
	}{
		"new":   {room.Manifest{}, []string{"carol"}},
		"all":   {room.Manifest{Deliver: room.DeliverAll}, []string{"alice", "bob", "carol"}},
		"since": {room.Manifest{Deliver: room.DeliverSince, DeliverSince: &since}, []string{"alice", "bob", "carol"}},
	} {
		c.m.ID, c.m.Implements = name, []room.Interface{room.PostRoomUserJoined}
		b.Register(t, c.m)
	}
	scene.JoinEach(t, b, "r", "carol")
	for name, sees := range map[string][]string{"new": {"carol"}, "all": {"alice", "bob", "carol"}, "since": {"alice", "bob", "carol"}} {
		saw := scene.NewSeen[string]()
		b.Work(t, room.Manifest{ID: name}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
			saw.See(e.JoiningUser.ID)
			return nil
		}})
		for _, user := range sees {
			assert.Equal(t, user, saw.One(t), name)
		}
		saw.None(t)
	}
}

// When an app is registered again, an existing consumer keeps its position and the settings of the
// operator.
func TestDeliver_ExistingConsumerKeepsItsPosition(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	m := room.Manifest{ID: "ledger", Implements: []room.Interface{room.PostRoomUserJoined}, MaxAttempts: new(9)}
	b.Register(t, m)
	b.Create(t, "r")
	scene.JoinEach(t, b, "r", "alice")
	b.SetAckWait(t, "ledger", harness.ReplyTime)
	m.Version, m.Deliver, m.MaxAttempts = "2.0.0", room.DeliverAll, new(3)
	b.Register(t, m)
	consumer, err := b.JS.Consumer(t.Context(), "ROOM_EVENTS", "ledger")
	require.NoError(t, err)
	cfg := consumer.CachedInfo().Config
	assert.Equal(t, jetstream.DeliverNewPolicy, cfg.DeliverPolicy)
	assert.Equal(t, harness.ReplyTime, cfg.AckWait)
	assert.Equal(t, 13, cfg.MaxDeliver, "lowered, it would lose events that were delivered more often")
	assert.EqualValues(t, 1, consumer.CachedInfo().NumPending)
}

func TestHandler_SeesTheAttempt(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[int]()
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, _ room.UserJoined) error {
		saw.See(appworker.Attempt(ctx))
		if appworker.Attempt(ctx) < 3 {
			return appworker.RetryLater(1, assert.AnError)
		}
		return nil
	}})
	scene.JoinEach(t, b, "r", "alice")
	for attempt := 1; attempt <= 3; attempt++ {
		assert.Equal(t, attempt, saw.One(t))
	}
}

// A worker finds its consumer again without a room service.
func TestWorker_FindsItsConsumerWithoutService(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[string]()
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID)
		return nil
	}})
	scene.JoinEach(t, b, "r", "alice")
	assert.Equal(t, "alice", saw.One(t))
	b.RequireDrained(t, "ledger")
	require.NoError(t, b.Service.Stop(t.Context()))
	consumer, err := b.JS.Consumer(t.Context(), "ROOM_EVENTS", "ledger")
	require.NoError(t, err)
	cfg := consumer.CachedInfo().Config
	require.NoError(t, b.JS.DeleteConsumer(t.Context(), "ROOM_EVENTS", "ledger"))
	cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	_, err = b.JS.CreateConsumer(t.Context(), "ROOM_EVENTS", cfg)
	require.NoError(t, err)
	assert.Equal(t, "alice", saw.One(t))
}
