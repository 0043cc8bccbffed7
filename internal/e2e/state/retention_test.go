package state_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// purgeTime bounds how long the histories of deleted rooms stay with a retention of zero.
const purgeTime = 30 * time.Second

// forgetful keeps no history of a deleted room.
func forgetful() roomsvc.Config { return roomsvc.Config{RetainDeleted: new(time.Duration)} }

// awaitStored waits until the stream of events has so many messages.
func awaitStored(t *testing.T, b *harness.Bus, n uint64) {
	t.Helper()
	require.Eventually(t, func() bool { return stored(t, b) == n }, purgeTime, 10*harness.Tick)
}

func stored(t *testing.T, b *harness.Bus) uint64 { return b.StreamState(t).Msgs }

func remove(t *testing.T, b *harness.Bus, id string) {
	t.Helper()
	_, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: id})
	require.NoError(t, err)
}

// When one service has removed all it could, a service with the defaults has kept all.
func TestRetention_DefaultKeepsHistories(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	remove(t, b, "r")
	other := harness.New(t, forgetful())
	other.Create(t, "r")
	remove(t, other, "r")
	awaitStored(t, other, 0)
	assert.Equal(t, uint64(2), stored(t, b))
}

// A room that is created again under the id of a deleted room stays, also for a service that reads
// the stream later.
func TestRetention_RecreatedRoomSurvivesThePurge(t *testing.T) {
	t.Parallel()
	b := harness.New(t, forgetful())
	b.Create(t, "r")
	scene.Seat(t, b, "r", scene.Bob)
	remove(t, b, "r")
	b.Create(t, "r")
	scene.Seat(t, b, "r", scene.Alice)
	b.Create(t, "other")
	awaitStored(t, b, 3)
	want := []string{"alice", "owner"}
	assert.Equal(t, want, b.Members(t, "r"))
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	first, err := stream.GetMsg(t.Context(), 4)
	require.NoError(t, err)
	assert.Equal(t, "3", first.Header.Get(subjects.ExpectedSeq), "the event names a purged predecessor")

	require.NoError(t, b.Service.Stop(t.Context()))
	harness.Serve(t, harness.Connect(t, b.Server), forgetful())
	assert.Equal(t, want, b.Members(t, "r"))
	scene.Seat(t, b, "r", scene.Bob)
	remove(t, b, "r")
	awaitStored(t, b, 1)
	assert.Zero(t, quarantined(t, b))
	assert.Equal(t, 1, b.EndpointData(t).Rooms)
	assert.Zero(t, b.EndpointData(t).Deleted)
}

// When all events are removed, the stream continues at its sequence.
func TestRetention_EmptyStreamKeepsItsSequence(t *testing.T) {
	t.Parallel()
	s := &harness.Restartable{Config: embedded.Config{StoreDir: t.TempDir(), Listen: harness.FreeAddress(t)}}
	s.Start(t)
	t.Cleanup(func() { s.Server.Shutdown() })
	log := harness.NewOutput()
	cfg := forgetful()
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	service := harness.Serve(t, harness.Connect(t, s.Server), cfg)
	b := harness.BusOn(t, s.Server)
	b.Create(t, "r")
	remove(t, b, "r")
	awaitStored(t, b, 0)
	s.Server.Shutdown()
	s.Start(t)
	b = harness.BusOn(t, s.Server)
	r, err := b.Client.Create(t.Context(), harness.NewRoom("r"))
	require.NoError(t, err)
	assert.Equal(t, uint64(3), r.Event.Seq)
	require.NoError(t, service.Stop(t.Context()))
	assert.NotContains(t, log.String(), "resetting the projection")

	harness.Serve(t, harness.Connect(t, s.Server), cfg)
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
	remove(t, b, "r")
	awaitStored(t, b, 0)
	harness.Serve(t, harness.Connect(t, s.Server), cfg)
	_, err = b.Client.Get(t.Context(), "r")
	assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
}

// A command whose event is gone neither takes effect again nor is refused forever.
func TestRetention_CommandOfPurgedRoomIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := harness.New(t, forgetful())
	b.Create(t, "r")
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("join-1"))
	require.NoError(t, err)
	remove(t, b, "r")
	awaitStored(t, b, 0)
	again := func() {
		t.Helper()
		_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("join-1"))
		e := scene.ErrorOf(t, err)
		assert.Equal(t, room.CodeRoomNotFound, e.Code)
		assert.Contains(t, e.Message, "command join-1 was done, but its room has been deleted since")
	}
	again()
	b.Create(t, "r")
	again()
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
}

// A consumer that has not read a room's events holds its history, however it reads.
func TestRetention_UnreadEventsStay(t *testing.T) {
	t.Parallel()
	none := func(*testing.T, jetstream.Consumer) {}
	read := func(ack bool) func(*testing.T, jetstream.Consumer) {
		return func(t *testing.T, c jetstream.Consumer) {
			t.Helper()
			for range 2 {
				msg, err := c.Next(jetstream.FetchMaxWait(harness.ReplyTime))
				require.NoError(t, err)
				if ack {
					require.NoError(t, msg.DoubleAck(t.Context()))
				}
			}
		}
	}
	for name, c := range map[string]struct {
		cfg    jetstream.ConsumerConfig
		before func(*testing.T, jetstream.Consumer) // the history is still held afterwards
		after  func(*testing.T, jetstream.Consumer) // nil: the consumer is deleted
	}{
		"unread":                  {cfg: jetstream.ConsumerConfig{Durable: "c"}, before: none, after: read(true)},
		"unacknowledged":          {cfg: jetstream.ConsumerConfig{Durable: "c"}, before: read(false)},
		"reads only":              {cfg: jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckNonePolicy}, before: none, after: read(false)},
		"filtered":                {cfg: jetstream.ConsumerConfig{Durable: "c", FilterSubjects: []string{"room.post.create.*", "room.post.delete.*"}}, before: none, after: read(true)},
		"paused":                  {cfg: jetstream.ConsumerConfig{Durable: "c", PauseUntil: new(time.Now().Add(time.Hour))}, before: none},
		"all acknowledged by one": {cfg: jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckAllPolicy}, before: read(false)},
		"somebody's ephemeral":    {cfg: jetstream.ConsumerConfig{Name: "c", InactiveThreshold: time.Hour}, before: none, after: read(true)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, forgetful())
			consumer, err := b.JS.CreateConsumer(t.Context(), subjects.Events, c.cfg)
			require.NoError(t, err)
			b.Create(t, "held")
			remove(t, b, "held")
			c.before(t, consumer)
			requireHeld(t, b)
			assert.Equal(t, uint64(2), stored(t, b))
			if c.after == nil {
				require.NoError(t, b.JS.DeleteConsumer(t.Context(), subjects.Events, "c"))
			} else {
				c.after(t, consumer)
			}
			awaitStored(t, b, 0)
		})
	}
}

// requireHeld waits until the service has checked twice, as its requests for the consumers show,
// and removed nothing.
func requireHeld(t *testing.T, b *harness.Bus) {
	t.Helper()
	looks, err := b.NC.SubscribeSync("$JS.API.CONSUMER.LIST." + subjects.Events)
	require.NoError(t, err)
	for range 2 {
		_, err := looks.NextMsg(purgeTime)
		require.NoError(t, err)
	}
	require.NoError(t, looks.Unsubscribe())
}

// A worker that was away gets all events.
func TestRetention_AbsentWorkerGetsItsEvents(t *testing.T) {
	t.Parallel()
	b := harness.New(t, forgetful())
	m := room.Manifest{ID: "app", Implements: []room.Interface{room.PostRoomCreate, room.PostRoomDeleted}}
	b.Register(t, m)
	b.Create(t, "r")
	remove(t, b, "r")
	requireHeld(t, b)
	consumer, err := b.JS.Consumer(t.Context(), subjects.Events, "app")
	require.NoError(t, err)
	for _, subject := range []string{"room.post.create.r", "room.post.delete.r"} {
		msg, err := consumer.Next(jetstream.FetchMaxWait(harness.ReplyTime))
		require.NoError(t, err)
		assert.Equal(t, subject, msg.Subject())
		require.NoError(t, msg.Ack())
	}
	awaitStored(t, b, 0)
}

func TestVersions_ParkedConsumerHoldsBackNoHistory(t *testing.T) {
	t.Parallel()
	b := harness.New(t, forgetful())
	m := room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomCreate, room.PostRoomUserJoined}}
	b.Register(t, m)
	b.Create(t, "r")
	remove(t, b, "r")
	requireHeld(t, b)
	m.Version, m.Implements = "2.0.0", []room.Interface{room.PreRoomUserLeave}
	m.Essentials = m.Implements
	b.Register(t, m)
	awaitStored(t, b, 0)
}

// A replica was away so long that its consumer is gone, and missed a deletion that is purged. It
// reads the stream again, also if nothing has happened since.
func TestRetention_ReplicaThatMissedADeletionReadsAgain(t *testing.T) {
	t.Parallel()
	for name, since := range map[string]int{"nothing since": 0, "something since": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "stays")
			b.Create(t, "goes")
			require.NoError(t, b.Service.Stop(t.Context()))
			proxy := harness.NewProxy(t, strings.TrimPrefix(b.Server.URL(), "nats://"))
			log := harness.NewOutput()
			away := harness.Serve(t, harness.ConnectTo(t, proxy.URL()), roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
			proxy.Close()
			forgetFollowers(t, b)
			here := harness.Serve(t, harness.Connect(t, b.Server), forgetful())
			remove(t, b, "goes")
			for n := range since {
				scene.Seat(t, b, "stays", room.User{ID: string(rune('a' + n))})
			}
			awaitStored(t, b, uint64(1+since))
			proxy.Open()
			log.Await(t, "resetting the projection")
			require.NoError(t, here.Stop(t.Context()))

			members, err := membersOnceKnown(t, b, "stays")
			require.NoError(t, err)
			assert.Len(t, members, 1+since)
			_, err = b.Client.Get(t.Context(), "goes")
			assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
			b.Create(t, "goes")
			require.NoError(t, away.Stop(t.Context()))
			assert.Equal(t, 1, strings.Count(log.String(), "resetting the projection"), log)
		})
	}
}

// membersOnceKnown waits for a service that reads the stream again.
func membersOnceKnown(t *testing.T, b *harness.Bus, id string) (members []string, err error) {
	t.Helper()
	require.Eventually(t, func() bool {
		members = nil
		for u, e := range b.Client.AllMembers(t.Context(), id) {
			members, err = append(members, u.ID), e
		}
		return err == nil || scene.ErrorOf(t, err).Code != room.CodeUnavailable
	}, harness.ReplyTime, harness.Tick)
	return members, err
}

// forgetFollowers deletes the consumers with which services follow the stream, as the server does a
// minute after they disconnect.
func forgetFollowers(t *testing.T, b *harness.Bus) {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	names := stream.ConsumerNames(t.Context())
	for name := range names.Name() {
		require.NoError(t, stream.DeleteConsumer(t.Context(), name))
	}
	require.NoError(t, names.Err())
}

// A service that still knows a deleted room continues when another has removed the history.
func TestRetention_HistoryRemovedByAnotherService(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	other := harness.Serve(t, harness.Connect(t, b.Server), forgetful())
	for _, id := range []string{"r", "s"} {
		b.Create(t, id)
		remove(t, b, id)
	}
	awaitStored(t, b, 0)
	require.NoError(t, other.Stop(t.Context()))
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
	assert.Equal(t, 1, b.EndpointData(t).Deleted, "the service knows that no event is left")
	assert.Equal(t, uint64(1), b.Create(t, "s").Event.Version)
	assert.Equal(t, []string{"owner"}, b.Members(t, "s"))
}

// A live room whose events are all gone is reported, not dropped.
func TestRetention_PurgedLiveRoomIsReported(t *testing.T) {
	t.Parallel()
	cfg := forgetful()
	cfg.CommitPatience = 100 * time.Millisecond
	b := harness.New(t, cfg)
	b.Create(t, "r")
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject(subjects.PostsOf("r"))))
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	assert.Equal(t, room.CodeUnavailable, scene.ErrorOf(t, err).Code)
	assert.Zero(t, stored(t, b))
}
