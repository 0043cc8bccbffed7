package operations_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/backup"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// site is NATS, one node or three, with a room service.
type site struct {
	*harness.Bus
	harness.CLI
	t        *testing.T
	nats     *harness.Cluster
	replicas string
	service  *harness.Process
}

func newSite(t *testing.T, nodes *harness.Cluster) *site {
	t.Helper()
	nc := nodes.Connect(t, 0)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return &site{
		Bus: &harness.Bus{NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})},
		CLI: harness.NewCLI(t, nodes.URL()), t: t, nats: nodes, replicas: strconv.Itoa(len(nodes.Nodes)),
	}
}

// backedUp returns one node with room r and a service, and the folder of its backup.
func backedUp(t *testing.T) (*site, string) {
	t.Helper()
	s := newSite(t, harness.NewNode(t))
	s.serve()
	s.Create(t, "r")
	dir := filepath.Join(t.TempDir(), "backup")
	s.OK("backup", dir)
	return s, dir
}

func (s *site) serve() {
	s.t.Helper()
	s.service = harness.ServeOn(s.t, s.nats, "--stream-replicas", s.replicas)
}

func (s *site) restore(dir string, args ...string) backup.Restored {
	s.t.Helper()
	out := s.OK(append([]string{"restore", dir, "--stream-replicas", s.replicas, "--json"}, args...)...)
	return harness.JSONLines[backup.Restored](s.t, out)[0]
}

// figures returns the stats of the one service.
func (s *site) figures() roomsvc.EndpointData {
	s.t.Helper()
	var data roomsvc.EndpointData
	require.Eventually(s.t, func() bool {
		all, err := bus.Stats(s.t.Context(), s.NC, subjects.Service)
		require.NoError(s.t, err)
		return len(all) == 1 && json.Unmarshal(all[0].Endpoints[0].Data, &data) == nil && data.ProjectionHash != ""
	}, harness.Patience, harness.Tick)
	return data
}

// takeEvents acknowledges the next n events of app ledger.
func (s *site) takeEvents(n int) (seqs []uint64) {
	s.t.Helper()
	c, err := s.JS.Consumer(s.t.Context(), subjects.Events, subjects.Durable("ledger"))
	require.NoError(s.t, err)
	for range n {
		msg, err := c.Next(jetstream.FetchMaxWait(harness.Patience))
		require.NoError(s.t, err)
		meta, err := msg.Metadata()
		require.NoError(s.t, err)
		require.NoError(s.t, msg.DoubleAck(s.t.Context()))
		seqs = append(seqs, meta.Sequence.Stream)
	}
	return seqs
}

// lasting returns a connection that does not reconnect, as backups need it.
func lasting(t *testing.T, s *site) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.URL, nats.NoReconnect())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func entries(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	return all
}

func ledgerApp() room.Manifest {
	return room.Manifest{ID: "ledger", Deliver: room.DeliverAll, Implements: []room.Interface{room.PostRoomUserJoined, room.PostRoomUserLeave}}
}

// keeper is an essential app for deletions.
func keeper() room.Manifest {
	deletions := []room.Interface{room.PreRoomDeletePrevent}
	return room.Manifest{ID: "keeper", Implements: deletions, Essentials: deletions}
}

// storeDeadLetter stores a dead letter of app ledger.
func (s *site) storeDeadLetter() {
	s.t.Helper()
	event := s.Events(s.t)[0]
	of := subjects.Delivered{Subject: event.Subject, Headers: subjects.Headers(event.Header), Data: event.Data, Seq: event.Sequence}
	subject, headers := subjects.EncodeDead("ledger", of, errors.New("bad"), 5)
	_, err := s.JS.PublishMsg(s.t.Context(), &nats.Msg{Subject: subject, Header: nats.Header(headers), Data: of.Data})
	require.NoError(s.t, err)
}

// A backup made under load on one node is restored on three nodes, and a backup of these on one.
// Every acknowledged change is restored, with the positions of the apps and the same rooms.
func TestBackup_UnderLoadFromOneNodeToThreeAndBack(t *testing.T) {
	t.Parallel()
	one := newSite(t, harness.NewNode(t))
	one.serve()
	rooms := []string{"r0", "r1", "r2", "r3"}
	for _, id := range rooms {
		one.Create(t, id)
	}
	one.Register(t, ledgerApp())
	one.Register(t, keeper())
	_, err := one.Client.ShadowApp(t.Context(), "ledger", true)
	require.NoError(t, err)
	_, err = one.Client.PutParam(t.Context(), room.ParamPut{Name: "bans", Document: json.RawMessage(`["mallory"]`)})
	require.NoError(t, err)
	one.storeDeadLetter()
	load := newLoad(rooms)
	load.start(t, one.nats, roomclient.Config{AttemptTimeout: harness.Patience})
	load.awaitProgress(t)
	taken := one.takeEvents(20)
	load.mu.Lock()
	acked := maps.Clone(load.acked)
	load.mu.Unlock()

	dir := filepath.Join(t.TempDir(), "backups", "first")
	made := harness.JSONLines[backup.Manifest](t, one.OK("backup", dir, "--json"))[0]
	load.awaitProgress(t)
	load.end(t)
	require.NotNil(t, made.Rooms)
	assert.Equal(t, len(rooms), made.Rooms.Live)
	assert.Equal(t, []string{"keeper", "ledger"}, made.Apps)
	assert.Equal(t, []string{"bans"}, made.Params)
	assert.Less(t, made.Rooms.LastSeq, one.Events(t)[len(one.Events(t))-1].Sequence, "the load went on")
	stop(t, one.service)

	three := newSite(t, harness.NewCluster(t, "../../../deploy/nats/node.conf"))
	restored := three.restore(dir)
	requireRestored(t, three, &made, restored)
	three.serve()
	figures := three.figures()
	assert.Equal(t, made.Rooms.Hash, figures.ProjectionHash)
	assert.Zero(t, figures.Quarantined)
	events := three.Decoded(t)
	scene.RequireChained(t, events)
	load.acked = acked
	load.requireOnce(t, events)
	last := requireGoesOn(t, three, events, taken[len(taken)-1])

	back := filepath.Join(t.TempDir(), "second")
	three.OK("backup", back)
	stop(t, three.service)
	again, err := backup.ReadManifest(back)
	require.NoError(t, err)
	single := newSite(t, harness.NewNode(t))
	requireRestored(t, single, again, single.restore(back))
	single.serve()
	assert.Equal(t, again.Rooms.Hash, single.figures().ProjectionHash)
	requireGoesOn(t, single, single.Decoded(t), last)
}

// requireRestored checks the result of a restore, and the streams.
func requireRestored(t *testing.T, s *site, made *backup.Manifest, restored backup.Restored) {
	t.Helper()
	assert.Equal(t, made.Rooms, restored.Now.Rooms)
	assert.Equal(t, made.Apps, restored.Now.Apps)
	assert.Equal(t, made.Params, restored.Now.Params)
	for n, was := range made.Streams {
		is := restored.Now.Streams[n]
		assert.Equal(t, was.Name, is.Name)
		assert.Equal(t, len(s.nats.Nodes), is.Copies, is.Name)
		assert.Equal(t, was.LastSeq, is.LastSeq, is.Name)
		assert.Equal(t, was.Messages, is.Messages, is.Name)
		assert.Len(t, is.Consumers, len(was.Consumers), is.Name)
		stream, err := s.JS.Stream(t.Context(), is.Name)
		require.NoError(t, err)
		assert.Equal(t, len(s.nats.Nodes), stream.CachedInfo().Config.Replicas)
		assert.NotContains(t, stream.CachedInfo().Config.Metadata, subjects.Restoring)
		assert.EventuallyWithT(t, func(c *assert.CollectT) { // the restore's own readers are removed a little later
			list := stream.ListConsumers(t.Context())
			for info := range list.Info() {
				assert.NotEmpty(c, info.Config.Durable, "a consumer of a service that ran is left on %s", is.Name)
			}
		}, harness.Patience, 20*harness.Tick)
	}
}

// requireGoesOn checks that apps, commands and dead letters continue after the last event that app
// ledger had. It returns the app's new last event.
func requireGoesOn(t *testing.T, s *site, events []room.Event, had uint64) uint64 {
	t.Helper()
	app, err := s.Client.App(t.Context(), "ledger")
	require.NoError(t, err)
	require.NotNil(t, app.State.Operator.Shadow, "the settings of operators")
	assert.True(t, *app.State.Operator.Shadow)
	bans, err := s.Client.Param(t.Context(), "bans")
	require.NoError(t, err)
	assert.JSONEq(t, `["mallory"]`, string(bans.Document))
	next := s.takeEvents(1)[0]
	for _, e := range events {
		if e.Seq > had && e.Type != room.EventCreate {
			assert.Equal(t, e.Seq, next, "the app continues after its ack floor")
			break
		}
	}
	last := events[len(events)-1]
	sent := func(id string) (room.Result, error) {
		return s.Client.Join(t.Context(), room.JoinRequest{RoomID: last.Room, User: room.User{ID: "late-" + s.replicas}}, roomclient.WithID(id))
	}
	first, err := sent("late-" + s.replicas)
	require.NoError(t, err)
	assert.Equal(t, last.Seq+1, first.Event.Seq)
	again, err := sent("late-" + s.replicas)
	require.NoError(t, err)
	assert.Equal(t, first.Event.Seq, again.Event.Seq, "a command that is sent again gets the same answer")
	_, err = s.Client.Delete(t.Context(), room.DeleteRequest{RoomID: last.Room})
	assert.Equal(t, room.CodeEssentialAppUnavailable, scene.ErrorOf(t, err).Code)
	letters := s.Stored(t, subjects.DeadLetters)
	require.Len(t, letters, 1)
	dead, err := subjects.DecodeDead(letters[0].Subject, subjects.Headers(letters[0].Header))
	require.NoError(t, err)
	assert.Equal(t, "ledger", dead.App)
	return next
}

// A refused restore changes nothing, and its error is one line.
func TestRestore_Refused(t *testing.T) {
	t.Parallel()
	s, dir := backedUp(t)
	damaged := filepath.Join(t.TempDir(), "damaged")
	s.OK("backup", damaged)
	archive := filepath.Join(damaged, subjects.Events, "stream.arc.s2")
	data, err := os.ReadFile(archive)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(archive, data, 0o600))
	halved := filepath.Join(t.TempDir(), "halved")
	s.OK("backup", halved)
	require.NoError(t, os.Remove(filepath.Join(halved, "manifest.json")))

	assert.Regexp(t, `room services run: \S+; stop them`, s.Fails(6, "restore", dir, "--stream-replicas", "1"))
	assert.Regexp(t, `room services run`, s.Fails(6, "restore", dir, "--stream-replicas", "1", "--force"))
	stop(t, s.service)
	before, created := harness.CountStreams(t, s.JS), createdAt(t, s.Bus)
	assert.Regexp(t, `these streams exist: ROOM_EVENTS, KV_ROOM_APPS, .*OBJ_ROOM_SNAPSHOTS; .*--force`, s.Fails(6, "restore", dir, "--stream-replicas", "1"))
	assert.Regexp(t, `it has no manifest.json`, s.Fails(2, "restore", halved, "--stream-replicas", "1", "--force"))
	assert.Regexp(t, `ROOM_EVENTS/stream.arc.s2 is damaged`, s.Fails(2, "restore", damaged, "--stream-replicas", "1", "--force"))
	assert.Regexp(t, `--stream-replicas is missing`, s.Fails(2, "restore", dir))
	assert.Regexp(t, `--stream-replicas 3 needs a NATS cluster`, s.Fails(2, "restore", dir, "--stream-replicas", "3"))
	assert.Regexp(t, `cannot write a backup in \S+: it is not empty`, s.Fails(2, "backup", dir))
	assert.Equal(t, before, harness.CountStreams(t, s.JS))
	assert.Equal(t, created, createdAt(t, s.Bus), "no stream has been replaced")

	s.restore(dir, "--force")
	s.serve()
	assert.Equal(t, 1, s.figures().Rooms)
	assert.NotRegexp(t, `snapshot (unusable|read)`, s.service.Stderr.String(), "the snapshot of the removed streams is not used")
}

// A service that is started during a restore waits until the restore is complete, and then serves.
func TestRestore_ServiceStartedMeanwhileWaits(t *testing.T) {
	t.Parallel()
	s, dir := backedUp(t)
	stop(t, s.service)
	var service *harness.Process
	_, err := backup.Restore(t.Context(), backup.Config{Conn: lasting(t, s), Dir: dir, Progress: func(what string, _, _ uint64) {
		if what == "rooms" && service == nil {
			service = harness.Start(t, harness.Binary(t), "serve", "--nats", s.URL)
			service.Stderr.Await(t, `level=ERROR msg="unavailable until the lost stream is restored" stream=ROOM_EVENTS lost="a backup is being restored since`)
		}
	}}, 1, true)
	require.NoError(t, err)
	service.Stderr.Await(t, `msg=serving rooms=1`)
}

// A restore fails if its events do not match the manifest, and services do not start with it.
func TestRestore_DiffersFromManifest(t *testing.T) {
	t.Parallel()
	s, dir := backedUp(t)
	stop(t, s.service)
	m, err := backup.ReadManifest(dir)
	require.NoError(t, err)
	m.Rooms.Hash = "0123456789abcdef"
	data, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.json"), data, 0o600))
	assert.Regexp(t, `the restore is not complete \(restored are ROOM_EVENTS, .*\): what is restored differs from the backup: the events make 1 rooms with hash \w+, not 1 with hash 0123456789abcdef; services stay unavailable`,
		s.Fails(1, "restore", dir, "--stream-replicas", "1", "--force"))
	p := harness.Start(t, harness.Binary(t), "serve", "--nats", s.URL)
	p.Stderr.Await(t, `a backup is being restored since`)
}

// An interrupted restore reports how far it came. Services do not start with it. With --force it
// can be repeated.
func TestRestore_Interrupted(t *testing.T) {
	t.Parallel()
	s, dir := backedUp(t)
	stop(t, s.service)
	for _, at := range []string{subjects.AppsStream, subjects.Events, subjects.DeadLetters, "rooms"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := backup.Restore(ctx, backup.Config{Conn: lasting(t, s), Dir: dir, Progress: func(what string, _, _ uint64) {
			if what == at {
				cancel()
			}
		}}, 1, true)
		require.ErrorIs(t, err, context.Canceled, at)
		var incomplete *backup.IncompleteError
		require.ErrorAs(t, err, &incomplete, at)
		if at == subjects.DeadLetters {
			assert.Equal(t, subjects.AppsStream, incomplete.Restored[0])
			assert.Contains(t, incomplete.Restored, subjects.Events)
			assert.Equal(t, subjects.DeadLetters, incomplete.Partly)
		}
		if at != subjects.AppsStream {
			p := harness.Start(t, harness.Binary(t), "serve", "--nats", s.URL)
			p.Stderr.Await(t, `unavailable until the lost stream is restored" stream=ROOM_EVENTS`)
			p.Signal(syscall.SIGTERM)
			p.Wait()
		}
	}
	s.restore(dir, "--force")
	s.serve()
	assert.Equal(t, 1, s.figures().Rooms)
}

// The server may finish an interrupted restore after the next restore has removed the streams.
func TestRestore_StreamThatAppearsMeanwhileIsReplaced(t *testing.T) {
	t.Parallel()
	s, dir := backedUp(t)
	stop(t, s.service)
	var once sync.Once
	restored, err := backup.Restore(t.Context(), backup.Config{Conn: lasting(t, s), Dir: dir, Progress: func(what string, _, _ uint64) {
		if what == subjects.AppsStream {
			once.Do(func() {
				_, err := s.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.Events})
				assert.NoError(t, err)
			})
		}
	}}, 1, true)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(strings.Join(restored.Replaced, " "), subjects.Events), "before and during the restore")
	s.serve()
	assert.Equal(t, 1, s.figures().Rooms)
}

// An interrupted or failed backup leaves nothing that looks like a backup.
func TestBackup_InterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, harness.NewNode(t))
	s.serve()
	s.Create(t, "r")
	empty := t.TempDir()
	for _, dir := range []string{filepath.Join(t.TempDir(), "made"), empty} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := backup.Take(ctx, backup.Config{Conn: lasting(t, s), Dir: dir, Progress: func(what string, _, _ uint64) {
			if what == subjects.DeadLetters {
				cancel()
			}
		}}, false)
		require.ErrorIs(t, err, context.Canceled)
		if dir == empty {
			assert.Empty(t, entries(t, dir))
		} else {
			assert.NoDirExists(t, dir)
		}
	}
	kill := sync.OnceFunc(s.nats.Nodes[0].Kill)
	_, err := backup.Take(t.Context(), backup.Config{Conn: lasting(t, s), Dir: empty, Progress: func(what string, _, _ uint64) {
		if what == subjects.DeadLetters {
			kill()
		}
	}}, false)
	require.Error(t, err)
	assert.Empty(t, entries(t, empty))
}

// A dead letter that is replayed while the streams are copied is in the backup.
func TestBackup_DeadLetterReplayedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, harness.NewNode(t))
	s.serve()
	s.Create(t, "r")
	s.Register(t, ledgerApp())
	s.storeDeadLetter()
	dir := filepath.Join(t.TempDir(), "backup")
	replayed := false
	m, err := backup.Take(t.Context(), backup.Config{Conn: lasting(t, s), Dir: dir, Progress: func(what string, _, _ uint64) {
		if what == subjects.GivenUp && !replayed { // after the copy of the replays, before the copy of the dead letters
			replayed = true
			s.OK("dead", "replay")
		}
	}}, false)
	require.NoError(t, err)
	messages := make(map[string]uint64)
	for _, stream := range m.Streams {
		messages[stream.Name] = stream.Messages
	}
	assert.EqualValues(t, 1, messages[subjects.Replays]+messages[subjects.DeadLetters])
	assert.Len(t, messages, 6)
}

// If an app is registered while the streams are copied, the registry in the backup is not older
// than the revision recorded with its events.
func TestBackup_AppRegisteredMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, harness.NewNode(t))
	s.serve()
	s.Create(t, "r")
	register := sync.OnceFunc(func() {
		s.Register(t, keeper())
		require.Eventually(t, func() bool {
			return configOf(t, s.JS, subjects.Events).Metadata[subjects.RegistryApps] == "keeper"
		}, harness.Patience, harness.Tick)
	})
	dir := filepath.Join(t.TempDir(), "backup")
	_, err := backup.Take(t.Context(), backup.Config{Conn: lasting(t, s), Dir: dir, Progress: func(string, uint64, uint64) { register() }}, true)
	require.NoError(t, err)
	stop(t, s.service)
	s.restore(dir, "--force")
	s.serve()
	s.service.Stderr.Await(t, `msg=serving rooms=1 apps=1`)
}

// The nats CLI restores the streams of a backup, one by one.
func TestBackup_NATSCLIRestoresStream(t *testing.T) {
	t.Parallel()
	b := policed(t)
	c := harness.NewCLI(t, b.Server.URL())
	dir := filepath.Join(t.TempDir(), "backup")
	c.OK("backup", dir)
	for _, stream := range []string{subjects.AppsStream, subjects.Events} {
		natsCLI(t, b, "stream", "rm", stream, "-f")
		natsCLI(t, b, "stream", "restore", filepath.Join(dir, stream))
	}
	serveOnServer(t, b).Stderr.Await(t, `msg=serving rooms=1 apps=1`)
	requireDenied(t, b)
}

// The folder of the embedded NATS server is restored without a running server.
func TestRestore_StoreDirOfServerInside(t *testing.T) {
	t.Parallel()
	p, url := harness.ServeProcess(t, "--store-dir", t.TempDir())
	_, err := roomclient.New(harness.ConnectTo(t, url), roomclient.Config{}).Create(t.Context(), harness.NewRoom("r"))
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "backup")
	harness.NewCLI(t, url).OK("backup", dir)
	stop(t, p)
	store := t.TempDir()
	out := harness.NewCLI(t, "").OK("restore", dir, "--stream-replicas", "1", "--store-dir", store)
	assert.Regexp(t, `(?m)^rooms +1 +1$`, out)
	assert.Regexp(t, `(?m)^ROOM_EVENTS +messages 1, last seq 1, copies 1 +messages 1, last seq 1, copies 1$`, out)
	p, _ = harness.ServeProcess(t, "--store-dir", store)
	p.Stderr.Await(t, `msg=serving rooms=1`)
}
