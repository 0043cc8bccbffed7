package state_test

import (
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// lostStream is a bus whose stream of events was deleted under a service and a worker.
type lostStream struct {
	*harness.Bus
	service, worker *harness.Output // their logs
	told            chan string     // rooms in the events that the worker's app got
}

// lobbyKeeper is asked about joins, and gets their events.
type lobbyKeeper struct{ told chan string }

func (lobbyKeeper) PreRoomUserJoined(context.Context, room.UserJoin) error { return nil }

func (k lobbyKeeper) PostRoomUserJoined(_ context.Context, e room.UserJoined) error {
	k.told <- e.Room.ID
	return nil
}

// newLostStream lets alice join room lobby before lose deletes the stream.
func newLostStream(t *testing.T, lose func(b *harness.Bus)) *lostStream {
	t.Helper()
	l := &lostStream{Bus: harness.BusOn(t, harness.NewServer(t)), worker: harness.NewOutput(), told: make(chan string, 100)}
	l.service = l.ServeLogged(t, roomsvc.Config{})
	cfg := appworker.Config{Logger: slog.New(slog.NewTextHandler(l.worker, nil))}
	l.WorkWith(t, cfg, room.Manifest{ID: "keeper"}, lobbyKeeper{l.told})
	l.Create(t, "lobby")
	scene.Seat(t, l.Bus, "lobby", scene.Alice)
	assert.Equal(t, "lobby", <-l.told)
	l.RequireDrained(t, "keeper")
	lose(l.Bus)
	return l
}

func deleteEvents(t *testing.T, b *harness.Bus) {
	t.Helper()
	require.NoError(t, b.JS.DeleteStream(t.Context(), subjects.Events))
}

// lostCommands are commands of every kind and outcome.
func lostCommands() map[string]string {
	return map[string]string{
		`create {"room":{"id":"new","slugifiedName":"new","type":"channel"},"creator":{"id":"u"}}`:     "a creation",
		`create {"room":{"id":"lobby","slugifiedName":"lobby","type":"channel"},"creator":{"id":"u"}}`: "a creation of a room that exists",
		`join {"roomId":"lobby","user":{"id":"bob"}}`:                                                  "a join",
		`join {"roomId":"lobby","user":{"id":"alice"}}`:                                                "a join of a member",
		`join {"roomId":"nowhere","user":{"id":"alice"}}`:                                              "a join of no room",
		`leave {"roomId":"lobby","user":{"id":"alice"}}`:                                               "a leave",
		`delete {"roomId":"lobby"}`:                                                                    "a deletion",
	}
}

// requireGone sends all commands with that timeout, and returns how many apps were asked.
func (l *lostStream) requireGone(t *testing.T, timeoutMs string) (asked int) {
	t.Helper()
	for command, what := range lostCommands() {
		endpoint, body, _ := strings.Cut(command, " ")
		e := scene.Refused(t, l.Request(t, "room.svc."+endpoint, body, "Room-Timeout-Ms", timeoutMs), room.CodeUnavailable)
		assert.Contains(t, e.Message, "stream ROOM_EVENTS is gone: restore it from a backup, or start a room service with --new-events", what)
		asked += len(e.Apps)
	}
	return asked
}

// A service that waits two seconds for JetStream answers clients with a shorter timeout at once.
func TestStreamGone_CommandsAreUnavailable(t *testing.T) {
	t.Parallel()
	l := newLostStream(t, func(b *harness.Bus) { deleteEvents(t, b) })
	l.requireGone(t, "1900")
	l.service.Await(t, `level=ERROR msg="stream is gone: commands are unavailable until it is back" stream=ROOM_EVENTS`)
	assert.Zero(t, l.requireGone(t, "1"), "apps that are asked")
	assert.Zero(t, l.requireGone(t, "1900"), "apps that are asked")
	scene.Refused(t, l.Request(t, "room.app.list", ``), room.CodeUnavailable)
	l.worker.Await(t, `receiving post-events failed; retrying`)
}

// Another service that starts with no rooms creates the stream, and the worker's consumer.
func TestStreamGone_ServiceUsesRecreatedStream(t *testing.T) {
	t.Parallel()
	l := newLostStream(t, func(b *harness.Bus) { deleteEvents(t, b) })
	l.service.Await(t, `stream is gone`)
	second := harness.Serve(t, harness.Connect(t, l.Server), roomsvc.Config{NewEvents: true})
	l.service.Await(t, `msg="JetStream answers, and the stream is read again" after=0 outage=`)
	require.NoError(t, second.Stop(t.Context()))
	_, err := l.Client.Get(t.Context(), "lobby")
	assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
	l.Create(t, "lobby")
	l.worker.Await(t, `msg="receiving post-events again" app=keeper stream=ROOM_EVENTS outage=`)
	scene.Seat(t, l.Bus, "lobby", scene.Bob)
	assert.Equal(t, "lobby", <-l.told)
	assert.Equal(t, []string{"bob", "owner"}, l.Members(t, "lobby"))
}

// A backup has the events and the apps' consumers.
func TestStreamGone_ServiceUsesRestoredStream(t *testing.T) {
	t.Parallel()
	backup := filepath.Join(t.TempDir(), "backup")
	nats := func(b *harness.Bus, args ...string) {
		cmd := exec.Command(harness.Tool(t, harness.NATSCLI), args...)
		cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+b.Server.URL())
		p := harness.StartCmd(t, cmd)
		require.Zero(t, p.Wait(), p.Stderr.String())
	}
	l := newLostStream(t, func(b *harness.Bus) {
		nats(b, "stream", "backup", "ROOM_EVENTS", backup)
		nats(b, "stream", "rm", "ROOM_EVENTS", "-f")
	})
	l.service.Await(t, `stream is gone`)
	nats(l.Bus, "stream", "restore", backup)
	l.service.Await(t, `msg="JetStream answers, and the stream is read again" after=0 outage=`)
	scene.Seat(t, l.Bus, "lobby", scene.Bob)
	assert.Equal(t, "lobby", <-l.told)
	assert.Equal(t, []string{"alice", "bob", "owner"}, l.Members(t, "lobby"))
	assert.LessOrEqual(t, strings.Count(l.service.String(), "reading the stream failed"), 2, "%s", l.service)
}

// On a cluster only the meta leader knows that the stream does not exist.
func TestStreamGone_OnCluster(t *testing.T) {
	t.Parallel()
	cluster := harness.NewCluster(t, "../../../deploy/nats/node.conf")
	service := harness.ServeOn(t, cluster)
	l := &lostStream{Bus: harness.BusAt(t, cluster.URL()), service: service.Stderr}
	l.Create(t, "lobby")
	scene.Seat(t, l.Bus, "lobby", scene.Alice)
	deleteEvents(t, l.Bus)
	l.requireGone(t, "5000")
	l.service.Await(t, `stream is gone`)
	l.requireGone(t, "1")
	harness.ServeOn(t, cluster, "--new-events")
	l.service.Await(t, `msg="JetStream answers, and the stream is read again" after=0 outage=`)
	l.Create(t, "lobby")
}
