package state_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// purge removes events by hand, as `nats stream purge ROOM_EVENTS --subject` does.
func purge(t *testing.T, b *harness.Bus, subject string) {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject(subject)))
}

// restart stops the service, and starts another with the snapshot.
func restart(t *testing.T, b *harness.Bus) *harness.Output {
	t.Helper()
	require.NoError(t, b.Service.Stop(t.Context()))
	return b.ServeLogged(t, roomsvc.Config{})
}

func TestPurgedRoom_IsGoneAfterRestart(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, b *harness.Bus){
		"purged while the service ran": func(t *testing.T, b *harness.Bus) {
			purge(t, b, "room.post.*.lobby")
			require.NoError(t, b.Service.Stop(t.Context()))
		},
		"purged while no service ran": func(t *testing.T, b *harness.Bus) {
			require.NoError(t, b.Service.Stop(t.Context()))
			purge(t, b, "room.post.*.lobby")
		},
		"without a snapshot": func(t *testing.T, b *harness.Bus) {
			purge(t, b, "room.post.*.lobby")
			require.NoError(t, b.Service.Stop(t.Context()))
			require.NoError(t, b.JS.DeleteObjectStore(t.Context(), subjects.Snapshots))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "lobby")
			scene.Seat(t, b, "lobby", scene.Alice)
			b.Create(t, "kept")
			lose(t, b)
			log := b.ServeLogged(t, roomsvc.Config{})
			if name != "without a snapshot" {
				assert.Regexp(t, `level=WARN msg="snapshot unusable; reading the whole stream".*it has room \\"lobby\\", whose create events were purged`, log.String())
			}
			_, err := b.Client.Get(t.Context(), "lobby")
			assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
			assert.Equal(t, []string{"owner"}, b.Members(t, "kept"))
			b.Create(t, "lobby")
			scene.Seat(t, b, "lobby", scene.Bob)
			assert.NotContains(t, restart(t, b).String(), "level=WARN", "the next snapshot is without it")
			assert.Equal(t, []string{"bob", "owner"}, b.Members(t, "lobby"))
		})
	}
}

// If only the joins of a room were purged, the room has the state of its creation.
func TestPurgedRoom_WithCreationLeftLivesAfterRestart(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "lobby")
	scene.Seat(t, b, "lobby", scene.Alice)
	purge(t, b, "room.post.userjoin.lobby")
	assert.Contains(t, restart(t, b).String(), "snapshot unusable")
	assert.Equal(t, []string{"owner"}, b.Members(t, "lobby"))
	scene.Seat(t, b, "lobby", scene.Bob)
}

// The snapshot has the purged room, and the stream has the room that was created since.
func TestPurgedRoom_CreatedAgainBehindSnapshot(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "lobby")
	b.Create(t, "kept")
	require.NoError(t, b.Service.Stop(t.Context()))
	old, _ := snapshot(t, b)
	purge(t, b, "room.post.*.lobby")
	b.ServeLogged(t, roomsvc.Config{})
	again := harness.NewRoom("lobby")
	again.Creator = scene.Bob
	_, err := b.Client.Create(t.Context(), again)
	require.NoError(t, err)
	require.NoError(t, b.Service.Stop(t.Context()))
	putSnapshot(t, b, old)
	assert.Contains(t, b.ServeLogged(t, roomsvc.Config{}).String(), "snapshot unusable")
	assert.Equal(t, []string{"bob"}, b.Members(t, "lobby"))
	scene.Seat(t, b, "lobby", scene.Alice)
}

// The retention removes histories of deleted rooms, including the last message of the snapshot.
func TestSnapshot_IsUsedThoughHistoryOfDeletedRoomIsRemoved(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "kept")
	scene.Seat(t, b, "kept", scene.Alice)
	b.Create(t, "gone")
	remove(t, b, "gone")
	require.NoError(t, b.Service.Stop(t.Context()))
	purge(t, b, "room.post.*.gone")
	log := b.ServeLogged(t, roomsvc.Config{})
	assert.Contains(t, log.String(), `msg="snapshot read" seq=4 `)
	assert.NotContains(t, log.String(), "level=WARN")
	b.Create(t, "gone")
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "kept"))
}

func TestPurgedRoom_OfRunningServiceIsUnavailable(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	log := b.ServeLogged(t, roomsvc.Config{})
	b.Create(t, "lobby")
	b.Create(t, "kept")
	purge(t, b, "room.post.*.lobby")
	const times = 3
	for range times {
		for subject, body := range map[string]string{
			"room.svc.join":   `{"roomId":"lobby","user":{"id":"u"}}`,
			"room.svc.leave":  `{"roomId":"lobby","user":{"id":"nobody"}}`,
			"room.svc.delete": `{"roomId":"lobby"}`,
		} {
			e := scene.Refused(t, b.Request(t, subject, body, "Room-Timeout-Ms", "200"), room.CodeUnavailable)
			assert.Contains(t, e.Message, "restart the room service; otherwise restore the stream from a backup")
			assert.NotContains(t, e.Message, "send the command again")
		}
	}
	scene.Seat(t, b, "kept", scene.Bob)
	assert.Equal(t, 1, strings.Count(log.String(), "events of a room missing from the stream"), "one line a room and minute")
}

// A service that does not know of the purge learns of it when another service creates the room.
func TestPurgedRoom_CreatedByAnotherServiceIsTakenOver(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Logger: slog.New(slog.DiscardHandler)})
	b.Create(t, "lobby")
	scene.Seat(t, b, "lobby", scene.Alice)
	purge(t, b, "room.post.*.lobby")
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	require.Eventually(t, func() bool { // the first service refuses it
		_, err := b.Client.Create(t.Context(), harness.NewRoom("lobby"))
		return err == nil
	}, 3*harness.ReplyTime, harness.Tick)
	for range 10 {
		scene.Seat(t, b, "lobby", scene.Bob)
		_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "lobby", User: scene.Bob})
		require.NoError(t, err)
	}
	var s rules.State
	for _, e := range b.Decoded(t) {
		require.NoError(t, rules.Evolve(&s, e))
	}
	assert.Equal(t, uint64(21), s.Room.Version)
}
