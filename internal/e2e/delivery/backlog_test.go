package delivery_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// An app never acknowledges the events of room lobby. The events of room other wait behind them.
func TestBacklog_AppIsStuckOnRoom(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "ledger", Implements: []room.Interface{room.PostRoomUserJoined, room.PostRoomUserLeave}})
	c := harness.NewCLI(t, b.Server.URL())
	assert.Regexp(t, `(?m)^ledger .* closed +0 +0 +PostRoomUser`, c.OK("app", "ls"))
	consumer, err := b.JS.Consumer(t.Context(), subjects.Events, subjects.Durable("ledger"))
	require.NoError(t, err)
	cfg := consumer.CachedInfo().Config
	cfg.MaxAckPending = 2
	consumer, err = b.JS.UpdateConsumer(t.Context(), subjects.Events, cfg)
	require.NoError(t, err)
	fetch := func() []jetstream.Msg {
		var all []jetstream.Msg
		batch, err := consumer.Fetch(10, jetstream.FetchMaxWait(time.Second))
		require.NoError(t, err)
		for msg := range batch.Messages() {
			all = append(all, msg)
		}
		require.NoError(t, batch.Error())
		return all
	}
	info := func() room.Waiting {
		app, err := b.Client.App(t.Context(), "ledger")
		require.NoError(t, err)
		return app.State.Waiting
	}

	b.Create(t, "other")
	b.Create(t, "lobby")
	scene.Seat(t, b, "other", scene.Alice)
	for _, msg := range fetch() {
		require.NoError(t, msg.DoubleAck(t.Context()))
	}
	assert.Equal(t, room.Waiting{Backlog: new(uint64(0)), MaxAckPending: 2}, info())
	scene.Seat(t, b, "lobby", scene.Alice) // 4
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "lobby", User: scene.Alice})
	require.NoError(t, err)
	scene.Seat(t, b, "other", scene.Bob)
	inHand := fetch()
	require.Len(t, inHand, 2, "as many as the consumer allows")

	got := info()
	assert.Equal(t, 3, int(*got.Backlog))
	assert.Equal(t, 2, got.AckPending)
	require.NotNil(t, got.Oldest)
	assert.Equal(t, uint64(4), got.Oldest.Seq)
	assert.Equal(t, "lobby", got.Oldest.Room)
	assert.WithinDuration(t, time.Now(), got.Oldest.Time, time.Minute)
	assert.False(t, got.Stuck, "a worker still has its ack wait")
	assert.Regexp(t, `(?m)^ledger .* closed +3 \(\d+[sm]\) +0 +PostRoomUser`, c.OK("app", "ls"))

	b.SetAckWait(t, "ledger", 50*time.Millisecond)
	require.Eventually(t, func() bool { return info().Stuck }, harness.ReplyTime, harness.Tick)
	assert.Regexp(t, `(?m)^ledger .* closed +3 \(\d+[sm]\) stuck on lobby +0 +PostRoomUser`, c.OK("app", "ls"))
	out := c.OK("app", "info", "ledger")
	for _, line := range []string{`backlog +3 \(\d+[sm]\) stuck on lobby`, `in hand +2 of at most 2`, `oldest event +seq 4, room lobby, 20\d\d-`} {
		assert.Regexp(t, `(?m)^`+line, out)
	}

	require.NoError(t, inHand[0].DoubleAck(t.Context()))
	got = info()
	assert.False(t, got.Stuck, "there is room for another event")
	assert.Equal(t, uint64(5), got.Oldest.Seq)
	cfg.MaxAckPending, cfg.AckWait = -1, 50*time.Millisecond
	_, err = b.JS.UpdateConsumer(t.Context(), subjects.Events, cfg)
	require.NoError(t, err)
	assert.Zero(t, info().MaxAckPending, "without a bound nothing is held back")
}
