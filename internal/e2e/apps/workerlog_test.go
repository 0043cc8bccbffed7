package apps_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// logged returns a logger, and its output to wait for.
func logged() (*harness.Output, *slog.Logger) {
	out := harness.NewOutput()
	return out, slog.New(slog.NewTextHandler(out, nil))
}

// The service and a worker log an outage in the same form: when it begins and when it has ended.
func TestLog_ConnectionLostAndRegained(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	proxy := harness.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	at := func(t *testing.T, p *harness.Process, attrs, meanwhile string) (awaitOutage, awaitEnd func()) {
		t.Helper()
		const time = `(?m)^time=\S+ `
		p.Stderr.Await(t, time+`level=INFO msg=serving `+attrs)
		return func() {
				p.Stderr.Await(t, time+`level=WARN msg="no connection to NATS: `+meanwhile+`" `+attrs+`servers=\[`+proxy.URL()+`\] error=EOF$`)
			}, func() {
				p.Stderr.Await(t, time+`level=INFO msg="connected to NATS again" `+attrs+`server=`+proxy.URL()+` outage=\S+$`)
			}
	}
	service := harness.Start(t, harness.Binary(t), "serve", "--nats", proxy.URL())
	serviceLost, serviceBack := at(t, service, "", "commands are unavailable")
	b := harness.BusOn(t, server)
	worker := scene.WorkerProcessAt(t, proxy.URL(), room.Manifest{ID: "far", Version: "1.0.0", Implements: scene.OnJoin})
	workerLost, workerBack := at(t, worker, "app=far ", "this worker is not reached")
	b.Create(t, "r")
	before := map[*harness.Process]int{service: len(service.Stderr.String()), worker: len(worker.Stderr.String())}
	proxy.Close()
	serviceLost()
	workerLost()
	proxy.Open()
	serviceBack()
	workerBack()
	for p, logged := range before {
		outage := p.Stderr.String()[logged:]
		assert.Equal(t, 1, strings.Count(outage, "no connection to NATS"), p.Stderr)
	}
	_, err := scene.Join(t, b, "alice")
	require.NoError(t, err)
	for p := range before {
		assert.NotContains(t, p.Stderr.String(), "level=ERROR")
	}
}

// A worker registers at its start and after each connect. Most registrations change nothing.
func TestLog_RegistrationThatChangesNothing(t *testing.T) {
	t.Parallel()
	out, log := logged()
	b := harness.New(t, roomsvc.Config{Logger: log})
	m := room.Manifest{ID: "guard", Version: "1.0.0", Implements: scene.OnJoin}
	b.Register(t, m)
	b.Register(t, m)
	m.Version = "1.1.0"
	b.Register(t, m)
	assert.Equal(t, []string{`"app registered" app=guard version=1.0.0`, `"app registered" app=guard version=1.1.0`},
		regexp.MustCompile(`"app registered".*`).FindAllString(out.String(), -1))
}

// The environment of a worker process configures its log.
func TestWorkerLog_FollowsTheEnvironment(t *testing.T) {
	t.Parallel()
	url := harness.BusOn(t, harness.NewServer(t)).Server.URL()
	start := func(env ...string) *harness.Process {
		return scene.WorkerCommand(t, url, room.Manifest{ID: "far", Version: "1.0.0", Implements: scene.OnJoin}, env...)
	}
	start("ROOMBUS_LOG=json").Stderr.Await(t, `(?m)^\{"time":"\S+","level":"WARN","msg":"cannot register yet; retrying","app":"far",`)
	wrong := start("ROOMBUS_LOG=xml", "ROOMBUS_LOG_LEVEL=loud")
	assert.Equal(t, 1, wrong.Wait())
	assert.Equal(t, "far: ROOMBUS_LOG must be text or json, not \"xml\"\nROOMBUS_LOG_LEVEL must be debug, info, warn or error, not \"loud\"\n", wrong.Stderr.String())
	wrong = start("ROOMBUS_LOG=json", "ROOMBUS_LOG_LEVEL=loud")
	assert.Equal(t, 1, wrong.Wait())
	assert.Regexp(t, `^\{"time":"\S+","level":"ERROR","msg":"worker failed","app":"far","error":"ROOMBUS_LOG_LEVEL must be [^}]*"\}\n$`, wrong.Stderr.String())
}

// A handler that ignores its context is logged once while it still runs, and again when it ends.
func TestWorkerLog_HandlerPastItsTime(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	out, log := logged()
	finish := make(chan struct{})
	cfg := appworker.Config{Logger: log, Concurrency: 3, HandlerTimeout: 50 * time.Millisecond}
	b.WorkWith(t, cfg, room.Manifest{ID: "deaf", TimeoutMs: new(200), MaxAttempts: new(1)},
		appworker.Handlers{
			PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
				if e.JoiningUser.ID == "bob" {
					<-finish
				}
				return nil
			},
			PostRoomUserJoined: func(context.Context, room.UserJoined) error {
				<-finish
				return nil
			},
			PostRoomCreate: func(ctx context.Context, _ room.Created) error {
				<-ctx.Done() // as a handler should
				return appworker.Discard(errors.New("no time"))
			},
		})
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
	require.NoError(t, err)
	require.Equal(t, room.TimedOut, r.Apps[0].Outcome)
	b.Create(t, "other")
	for i, time := range map[string]string{"PreRoomUserJoined": `(1\d\d|200)\S*ms`, "PostRoomUserJoined": `50ms`} {
		out.Await(t, `level=WARN msg="handler still running after its time" app=deaf interface=`+i+` event=`+r.Event.ID+
			` running_for=\S+ time=`+time+` places_taken="1 of 3"`)
	}
	out.Await(t, "no time")
	close(finish)
	for _, i := range []string{"PreRoomUserJoined", "PostRoomUserJoined"} {
		out.Await(t, `level=INFO msg="handler ended after its time" app=deaf interface=`+i+` event=`+r.Event.ID+` took=\d`)
	}
	assert.Equal(t, 2, strings.Count(out.String(), "still running"), "each handler once, and none that ended with its context")
}

// A stopping worker logs the work it waits for, and at the end the work it has abandoned.
func TestWorkerLog_PendingWorkWhenItStops(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	out, log := logged()
	begun, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	stop := b.WorkWith(t, appworker.Config{Logger: log, DrainTimeout: 4 * time.Second}, room.Manifest{ID: "stuck"},
		appworker.Handlers{
			PreRoomUserJoined: func(context.Context, room.UserJoin) error {
				begun <- struct{}{}
				<-never
				return nil
			},
			PostRoomCreate: func(context.Context, room.Created) error { return nil },
		})
	for _, u := range []room.User{scene.Alice, scene.Bob} {
		go func() { _, _ = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: u}) }()
		<-begun
	}
	err := stop()
	require.EqualError(t, err, "pre-event handlers were still running after 4s: PreRoomUserJoined 2", "no post-event handler was running")
	out.Await(t, `level=INFO msg="stopping: waiting for handlers" app=stuck running="PreRoomUserJoined 2" waited=0s at_most=4s`)
	out.Await(t, `level=INFO msg="stopping: waiting for handlers" app=stuck running="PreRoomUserJoined 2" waited=3s at_most=4s`)
	assert.NotContains(t, out.String(), "msg=stopped", "handlers are still running")
}

func TestWorkerLog_StoppedWhenDrained(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	out, log := logged()
	stop := b.WorkWith(t, appworker.Config{Logger: log}, room.Manifest{ID: "guard"}, scene.AllowJoins)
	assert.NotContains(t, out.String(), "msg=stopped")
	require.NoError(t, stop())
	assert.Regexp(t, `level=INFO msg=stopped app=guard\n$`, out.String())
}

// The reason of a panic has the position in the handler's code, and the log has the stack.
func TestWorkerLog_PanicHasItsPlace(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	out, log := logged()
	b.WorkWith(t, appworker.Config{Logger: log}, room.Manifest{ID: "fragile"}, padding{})
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
	require.NoError(t, err)
	assert.Regexp(t, `^panic: strings: negative Repeat count \(workerlog_test.go:\d+\)$`, r.Apps[0].Reason)
	line := out.Await(t, `level=ERROR msg="handler failed" app=fragile interface=PreRoomUserJoined event=\S+ error="panic: [^\n]*`)[0]
	assert.Regexp(t, `stack="strings.Repeat strings.go:\d+ <- apps_test.pad workerlog_test.go:\d+ <- apps_test.padding.PreRoomUserJoined workerlog_test.go:\d+"$`, line)
}

type padding struct{}

func (padding) PreRoomUserJoined(_ context.Context, e room.UserJoin) error {
	return errors.New(pad(e.JoiningUser.Name, -1))
}

//go:noinline
func pad(text string, width int) string { return strings.Repeat(text+" ", width) }
