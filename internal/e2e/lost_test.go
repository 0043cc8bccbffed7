package e2e_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// gate is an essential app that denies every join, without a worker of the SDK.
func gate() room.Manifest {
	return room.Manifest{ID: "gate", Implements: joined, Essentials: joined}
}

// policed returns a server with room r and the app gate. Its service has been stopped.
func policed(t *testing.T) *harness.Bus {
	t.Helper()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, gate())
	b.Answer(t, room.PreRoomUserJoined, "gate", harness.Says(`{"verdict":"deny","reason":"closed"}`))
	requireDenied(t, b)
	require.NoError(t, b.Service.Stop(t.Context()))
	return b
}

func requireDenied(t *testing.T, b *harness.Bus) {
	t.Helper()
	_, err := join(t, b, "alice")
	require.Equal(t, room.CodeUserNotAllowed, code(t, err).Code)
}

// serveOnServer starts "roombus serve" on the server.
func serveOnServer(t *testing.T, b *harness.Bus, args ...string) *harness.Process {
	t.Helper()
	return harness.Start(t, harness.Binary(t), append([]string{"serve", "--nats", b.Server.URL()}, args...)...)
}

func natsCLI(t *testing.T, b *harness.Bus, args ...string) {
	t.Helper()
	cmd := exec.Command(harness.Tool(t, harness.NATSCLI), args...)
	cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+b.Server.URL())
	p := harness.StartCmd(t, cmd)
	require.Zero(t, p.Wait(), p.Stderr.String())
}

func deleteStream(name string) func(*testing.T, *harness.Bus) {
	return func(t *testing.T, b *harness.Bus) {
		require.NoError(t, b.JS.DeleteStream(t.Context(), name))
	}
}

// remake replaces a stream by an empty one.
func remake(name string, change func(*jetstream.StreamConfig)) func(*testing.T, *harness.Bus) {
	return func(t *testing.T, b *harness.Bus) {
		cfg := configOf(t, b.JS, name)
		require.NoError(t, b.JS.DeleteStream(t.Context(), name))
		change(&cfg)
		_, err := b.JS.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
	}
}

func asItIs(*jetstream.StreamConfig) {}

func forgetRecord(t *testing.T, b *harness.Bus) {
	t.Helper()
	cfg := configOf(t, b.JS, subjects.Events)
	require.NotEmpty(t, cfg.Metadata[subjects.RegistryRevision])
	delete(cfg.Metadata, subjects.RegistryRevision)
	delete(cfg.Metadata, subjects.RegistryApps)
	_, err := b.JS.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
}

// A service that starts after a stream was lost decides no command, and names the remedy.
func TestLostStream_ServiceThatStartsIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		lose func(*testing.T, *harness.Bus)
		says string
		args []string
	}{
		"registry deleted": {lose: deleteStream(subjects.AppsStream), says: `the registry of apps is lost: bucket ROOM_APPS is gone, revision 1 is known, with the apps gate: .*nats stream restore.*--new-registry`},
		"registry empty":   {lose: remake(subjects.AppsStream, asItIs), says: `the registry of apps is lost: bucket ROOM_APPS ends at revision 0, revision 1 is known`},
		"registry in memory": {
			lose: remake(subjects.AppsStream, func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }),
			says: `stream KV_ROOM_APPS has memory storage: back it up, remove it, and restore it with file storage`,
		},
		"registry deleted, no record, app was asked": {lose: func(t *testing.T, b *harness.Bus) {
			open := harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
			b.Register(t, room.Manifest{ID: "scribe", Implements: []room.Interface{room.PreRoomCreateExtend}})
			b.Create(t, "s")
			require.NoError(t, open.Stop(t.Context()))
			forgetRecord(t, b)
			deleteStream(subjects.AppsStream)(t, b)
		}, says: `bucket ROOM_APPS is gone, but stream ROOM_EVENTS has consumers of these apps, or they were asked about its last events: scribe`},
		"registry deleted, no record, app has consumer": {lose: func(t *testing.T, b *harness.Bus) {
			open := harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
			b.Register(t, room.Manifest{ID: "ledger", Implements: []room.Interface{room.PostRoomDeleted}})
			require.NoError(t, open.Stop(t.Context()))
			forgetRecord(t, b)
			deleteStream(subjects.AppsStream)(t, b)
		}, says: `they were asked about its last events: ledger`},
		"events deleted": {lose: deleteStream(subjects.Events), says: `the stream ROOM_EVENTS is gone, but there is a registry of apps at revision 1 and a snapshot as of sequence 1: restore it from a backup, or start a room service with --new-events`},
		"events and registry deleted": {lose: func(t *testing.T, b *harness.Bus) {
			deleteStream(subjects.Events)(t, b)
			deleteStream(subjects.AppsStream)(t, b)
		}, says: `the stream ROOM_EVENTS is gone, but there is a snapshot as of sequence 1`},
		"events empty": {lose: remake(subjects.Events, asItIs), says: `the stream ROOM_EVENTS is empty, but there is a snapshot as of sequence 1`},
		"registry deleted, service creates no streams": {
			lose: deleteStream(subjects.AppsStream), says: `bucket ROOM_APPS is gone, revision 1 is known`, args: []string{"--no-provision"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := policed(t)
			row.lose(t, b)
			before := streamCount(t, b.JS)
			p := serveOnServer(t, b, row.args...)
			p.Stderr.Await(t, `level=ERROR msg="unavailable until the lost stream is restored"`)
			e := refused(t, request(t, b, "room.svc.join", `{"roomId":"r","user":{"id":"alice"}}`), room.CodeUnavailable)
			assert.Regexp(t, row.says, e.Message)
			refused(t, request(t, b, "room.svc.get", `{"roomId":"r"}`), room.CodeUnavailable)
			refused(t, request(t, b, "room.app.register", `{"id":"x","version":"1.0.0","implements":["PostRoomCreate"]}`), room.CodeUnavailable)
			assert.Regexp(t, row.says, cli{t, b.Server.URL()}.fails(5, "room", "join", "r", "alice"))
			is := figuresOf(t, b.NC).Readiness
			assert.False(t, is.Ready)
			assert.Regexp(t, row.says, is.NotReady)
			assert.Equal(t, before, streamCount(t, b.JS), "nothing is created, so that a backup can be restored")
			assert.NotContains(t, p.Stderr.String(), "msg=serving")
			p.Signal(syscall.SIGTERM)
			assert.Equal(t, 130, p.Wait())
			assert.Contains(t, p.Stderr.String(), "interrupted")
		})
	}
}

// The lost stream is restored while the service waits. The service then continues as before.
func TestLostStream_ServiceStartsOnceItIsRestored(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{subjects.AppsStream, subjects.Events} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			b := policed(t)
			backup := filepath.Join(t.TempDir(), "backup")
			natsCLI(t, b, "stream", "backup", stream, backup)
			natsCLI(t, b, "stream", "rm", stream, "-f")
			p := serveOnServer(t, b)
			p.Stderr.Await(t, `unavailable until the lost stream is restored`)
			natsCLI(t, b, "stream", "restore", backup)
			p.Stderr.Await(t, `msg="lost stream restored; starting" stream=`+stream)
			p.Stderr.Await(t, `msg=serving rooms=1 apps=1`)
			requireDenied(t, b)
		})
	}
}

// A backup of the registry from before an app was registered is not enough.
func TestLostStream_RegistryRestoredFromOlderBackup(t *testing.T) {
	t.Parallel()
	b := policed(t)
	backup := filepath.Join(t.TempDir(), "backup")
	natsCLI(t, b, "stream", "backup", subjects.AppsStream, backup)
	open := harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "later", Implements: joined})
	require.NoError(t, open.Stop(t.Context()))
	natsCLI(t, b, "stream", "rm", subjects.AppsStream, "-f")
	natsCLI(t, b, "stream", "restore", backup)
	p := serveOnServer(t, b)
	p.Stderr.Await(t, `bucket ROOM_APPS ends at revision 1, revision 2 is known, with the apps gate, later`)
	refused(t, request(t, b, "room.svc.join", `{"roomId":"r","user":{"id":"alice"}}`), room.CodeUnavailable)

	accepted := harness.NewOutput()
	second := harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{NewRegistry: true, Logger: slog.New(slog.NewTextHandler(accepted, nil))})
	assert.Contains(t, accepted.String(), `level=WARN msg="starting without the lost stream" stream=KV_ROOM_APPS`)
	p.Stderr.Await(t, `msg=serving rooms=1 apps=1`)
	require.NoError(t, second.Stop(t.Context()))
	requireDenied(t, b)
}

// --new-registry and --new-events start the service without the lost stream, and are not needed
// again.
func TestLostStream_ServiceStartsWithoutIt(t *testing.T) {
	t.Parallel()
	b := policed(t)
	deleteStream(subjects.AppsStream)(t, b)
	p := serveOnServer(t, b, "--new-registry")
	p.Stderr.Await(t, `level=WARN msg="starting without the lost stream" stream=KV_ROOM_APPS`)
	p.Stderr.Await(t, `level=INFO msg="stream created" stream=KV_ROOM_APPS storage=file copies=1`)
	p.Stderr.Await(t, `level=WARN msg="started with an option that gives up lost data`)
	p.Stderr.Await(t, `msg=serving rooms=1 apps=0`)
	_, err := join(t, b, "bob")
	require.NoError(t, err)
	stop(t, p)

	p = serveOnServer(t, b)
	p.Stderr.Await(t, `msg=serving rooms=1 apps=0`)
	b.Register(t, gate())
	requireDenied(t, b)
	stop(t, p)

	deleteStream(subjects.Events)(t, b)
	p = serveOnServer(t, b, "--new-events")
	p.Stderr.Await(t, `level=WARN msg="starting without the lost stream" stream=ROOM_EVENTS`)
	p.Stderr.Await(t, `msg=serving rooms=0 apps=1`)
	stop(t, p)
	p = serveOnServer(t, b)
	p.Stderr.Await(t, `msg=serving rooms=0 apps=1`)
	b.Create(t, "r")
	requireDenied(t, b)
	stop(t, p)
	deleteStream(subjects.AppsStream)(t, b)
	serveOnServer(t, b).Stderr.Await(t, `unavailable until the lost stream is restored" stream=KV_ROOM_APPS`)
}

func stop(t *testing.T, p *harness.Process) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())
}

// An installation without apps starts without asking for flags, whichever of its streams remain.
func TestLostStream_NothingIsLostWithoutApps(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	require.NoError(t, b.Service.Stop(t.Context()))
	start := func(apps string) *harness.Process {
		p := serveOnServer(t, b)
		p.Stderr.Await(t, `msg=serving rooms=1 apps=`+apps)
		return p
	}
	stop(t, start("0"))
	deleteStream(subjects.AppsStream)(t, b)
	p := start("0")
	p.Stderr.Await(t, `level=INFO msg="stream created" stream=KV_ROOM_APPS storage=file copies=1`)
	b.Register(t, gate())
	_, err := b.Client.RemoveApp(t.Context(), "gate")
	require.NoError(t, err)
	stop(t, p)
	deleteStream(subjects.AppsStream)(t, b)
	stop(t, start("0"))
}

// A running service writes back the lost registrations, and admits no command meanwhile.
func TestLostRegistry_RunningServiceWritesItBack(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testing.T, *harness.Bus){
		"deleted": deleteStream(subjects.AppsStream),
		"empty":   remake(subjects.AppsStream, asItIs),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := policed(t)
			logs := [2]*harness.Output{harness.NewOutput(), harness.NewOutput()}
			for _, log := range logs {
				harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
			}
			_, err := b.Client.ShadowApp(t.Context(), "gate", false)
			require.NoError(t, err)
			before, err := b.Client.App(t.Context(), "gate")
			require.NoError(t, err)
			lose(t, b)
			ctx, cancel := context.WithCancel(t.Context())
			let := make(chan error, 1)
			go func() {
				for ctx.Err() == nil {
					if _, err := b.Client.Join(ctx, room.JoinRequest{RoomID: "r", User: alice}); err == nil {
						let <- nil
						return
					}
				}
				let <- ctx.Err()
			}()
			for _, log := range logs {
				log.Await(t, `level=ERROR msg="registry of apps lost known registrations; writing them back before deciding commands" .*apps=1`)
				log.Await(t, `msg="registrations written back" bucket=ROOM_APPS known=1`)
			}
			for range 10 {
				requireDenied(t, b)
			}
			cancel()
			require.ErrorIs(t, <-let, context.Canceled, "a join was let through")
			after, err := b.Client.App(t.Context(), "gate")
			require.NoError(t, err)
			assert.Equal(t, before.State.Operator, after.State.Operator)

			p := serveOnServer(t, b) // it finds the repaired registry
			p.Stderr.Await(t, `msg=serving rooms=1 apps=1`)
		})
	}
}

// A backup that is restored under a running service has older registrations. The service writes the
// newer ones back.
func TestLostRegistry_OlderBackupUnderRunningService(t *testing.T) {
	t.Parallel()
	b := policed(t)
	backup := filepath.Join(t.TempDir(), "backup")
	log := harness.NewOutput()
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	natsCLI(t, b, "stream", "backup", subjects.AppsStream, backup)
	m := gate()
	m.Version, m.Description = "2.0.0", "the newer one"
	b.Register(t, m)
	b.Register(t, room.Manifest{ID: "later", Implements: joined})
	natsCLI(t, b, "stream", "rm", subjects.AppsStream, "-f")
	natsCLI(t, b, "stream", "restore", backup)
	log.Await(t, `msg="registrations written back" bucket=ROOM_APPS known=2`)
	apps, err := b.Client.Apps(t.Context())
	require.NoError(t, err)
	require.Len(t, apps, 2)
	assert.Equal(t, "2.0.0", apps[0].Version)
}

// A server that comes back with an earlier state of its disk has the same bucket at an earlier
// revision.
func TestLostRegistry_RevisionGoesBackwards(t *testing.T) {
	t.Parallel()
	s := &restartable{cfg: embedded.Config{StoreDir: t.TempDir(), Listen: harness.FreeAddress(t)}}
	s.start(t)
	t.Cleanup(func() { s.server.Shutdown() })
	log := harness.NewOutput()
	service := harness.Serve(t, harness.Connect(t, s.server), roomsvc.Config{})
	b := busOn(t, s.server)
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "first", Implements: []room.Interface{room.PostRoomDeleted}})
	require.NoError(t, service.Stop(t.Context()))
	s.server.Shutdown()
	store, err := filepath.Abs(filepath.Join(s.cfg.StoreDir, "jetstream", "$G", "streams", subjects.AppsStream))
	require.NoError(t, err)
	earlier := filepath.Join(t.TempDir(), "earlier")
	require.NoError(t, os.CopyFS(earlier, os.DirFS(store)))
	s.start(t)
	harness.Serve(t, harness.Connect(t, s.server), roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	b.Register(t, gate())
	created := createdAt(t, b)
	s.server.Shutdown()
	require.NoError(t, os.RemoveAll(store))
	require.NoError(t, os.CopyFS(store, os.DirFS(earlier)))
	s.start(t)
	log.Await(t, `level=ERROR msg="registry of apps lost known registrations.* exists=true ends=1 known=2 apps=2`)
	log.Await(t, `msg="registrations written back" bucket=ROOM_APPS known=2 written=1`)
	assert.Equal(t, created, createdAt(t, b), "it is the same bucket")
	require.Eventually(t, func() bool {
		apps, err := b.Client.Apps(t.Context())
		return err == nil && len(apps) == 2
	}, 3*replyTime, tick)
	_, err = join(t, b, "alice")
	assert.Equal(t, room.CodeEssentialAppUnavailable, code(t, err).Code)
}

func createdAt(t *testing.T, b *harness.Bus) time.Time {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), subjects.AppsStream)
	require.NoError(t, err)
	return stream.CachedInfo().Created
}

// A worker registers its app again if the registration was lost, but not if an operator has removed
// the app.
func TestWorker_RegistersAgainAfterLoss(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	log := harness.NewOutput()
	b.WorkWith(t, appworker.Config{Logger: slog.New(slog.NewTextHandler(log, nil)), RegistrationCheck: 50 * time.Millisecond},
		gate(), appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return room.UserNotAllowed("closed") }})
	b.Create(t, "r")
	requireDenied(t, b)
	require.NoError(t, b.Service.Stop(t.Context()))
	deleteStream(subjects.AppsStream)(t, b)
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{NewRegistry: true})
	log.Await(t, `level=WARN msg="registration lost; registering again" app=gate`)
	log.Await(t, `level=INFO msg="registered again" app=gate`)
	requireDenied(t, b)

	_, err := b.Client.RemoveApp(t.Context(), "gate")
	require.NoError(t, err)
	log.Await(t, `level=WARN msg="app removed; restart a worker to register it again" app=gate`)
	_, err = b.Client.App(t.Context(), "gate")
	assert.False(t, code(t, err).NeverRegistered)
	_, err = b.Client.App(t.Context(), "never")
	assert.True(t, code(t, err).NeverRegistered)
}
