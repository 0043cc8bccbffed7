package apps_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// guardOfJoins is an essential app.
func guardOfJoins() room.Manifest {
	joins := []room.Interface{room.PreRoomUserJoined}
	return room.Manifest{ID: "guard", Version: "1.0.0", Implements: joins, Essentials: joins, TimeoutMs: new(500)}
}

// After a restart of all parts the service is up before the workers. It refuses no client because
// of that.
func TestServe_WorkerComesAfterTheServiceAndNoCommandIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	serve := func() *harness.Process {
		return harness.Start(t, harness.Binary(t), "serve", "--nats", b.Server.URL(), "--worker-wait", "1m")
	}
	service := serve()
	worker := scene.WorkerProcess(t, b, guardOfJoins())
	b.Create(t, "r")
	for _, p := range []*harness.Process{service, worker} {
		p.Signal(syscall.SIGKILL)
		p.Wait()
	}

	service = serve()
	joined := make(chan error, 1)
	go func() { joined <- scene.JoinWithin(t, b.Client, "alice", time.Minute) }()
	service.Stderr.Await(t, `INFO msg="waiting for workers of essential apps" apps=\[guard\] at_most=1m0s`)
	<-time.After(time.Second) // longer than the app's timeout
	scene.WorkerProcess(t, b, guardOfJoins())
	require.NoError(t, <-joined)
	assert.Regexp(t, `INFO msg="workers of essential apps found" waited=\S+\n.*msg=serving`, service.Stderr.String())
}

// startOnRegistry starts a service that finds the apps registered, and returns its log.
func startOnRegistry(t *testing.T, wait time.Duration, apps ...room.Manifest) (b *harness.Bus, log *harness.Output, started <-chan error) {
	t.Helper()
	b = harness.New(t, roomsvc.Config{})
	for _, m := range apps {
		b.Register(t, m)
	}
	require.NoError(t, b.Service.Stop(t.Context()))
	log = harness.NewOutput()
	nc := harness.Connect(t, b.Server)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() {
		s, err := roomsvc.Start(ctx, nc, roomsvc.Config{WorkerWait: wait, Logger: slog.New(slog.NewTextHandler(log, nil))})
		if err == nil {
			t.Cleanup(func() { _ = s.Stop(context.Background()) })
		}
		ended <- err
	}()
	t.Cleanup(cancel)
	return b, log, ended
}

func TestStart_FindsEachKindOfWorker(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(*testing.T, *harness.Bus){
		"without the micro protocol": func(t *testing.T, b *harness.Bus) {
			b.Answer(t, room.PreRoomUserJoined, "guard", harness.Says(`{"verdict":"allow"}`))
		},
		"with the micro protocol, where its subscriptions are not seen": func(t *testing.T, b *harness.Bus) {
			ping, err := json.Marshal(micro.Ping{ServiceIdentity: micro.ServiceIdentity{Name: "guard", ID: "1", Version: "1.0.0"}})
			require.NoError(t, err)
			sub, err := b.NC.Subscribe("$SRV.PING.guard", func(msg *nats.Msg) { _ = msg.Respond(ping) })
			require.NoError(t, err)
			t.Cleanup(func() { _ = sub.Unsubscribe() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, log, started := startOnRegistry(t, time.Hour, guardOfJoins())
			log.Await(t, "waiting for workers of essential apps")
			work(t, b)
			require.NoError(t, <-started)
			assert.Contains(t, log.String(), "workers of essential apps found")
		})
	}
}

func TestStart_WaitForWorkersIsBounded(t *testing.T) {
	t.Parallel()
	_, log, started := startOnRegistry(t, 100*time.Millisecond, guardOfJoins())
	require.NoError(t, <-started)
	assert.Regexp(t, `WARN msg="essential apps have no worker: their commands are refused" apps=\[guard\] waited=`, log.String())
}

func TestStart_DoesNotWaitForAppsThatBlockNothing(t *testing.T) {
	t.Parallel()
	optional, disabled, shadow := guardOfJoins(), guardOfJoins(), guardOfJoins()
	optional.Essentials = nil
	disabled.Enabled = new(false)
	shadow.Shadow = true
	for name, apps := range map[string][]room.Manifest{
		"no app": nil, "optional": {optional}, "disabled": {disabled}, "shadow": {shadow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, log, started := startOnRegistry(t, time.Hour, apps...)
			require.NoError(t, <-started)
			assert.NotContains(t, log.String(), "waiting for workers")
		})
	}
	t.Run("told not to", func(t *testing.T) {
		t.Parallel()
		_, log, started := startOnRegistry(t, -1, guardOfJoins())
		require.NoError(t, <-started)
		assert.NotContains(t, log.String(), "waiting for workers")
	})
}
