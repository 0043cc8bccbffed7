package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// foreign is an example worker in another language: an app that denies joins of users without a
// name.
type foreign struct {
	app     string
	command []string
}

func TestForeignWorker(t *testing.T) {
	t.Parallel()
	for language, prepare := range map[string]func(*testing.T) foreign{"node": nodeWorker, "python": pythonWorker} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			f := prepare(t)
			for name, test := range map[string]func(*testing.T, foreign){
				"decides":                               decides,
				"answers as the wire contract says":     answersAsTheContractSays,
				"waits for the room service":            waitsForTheService,
				"answers what it has before it ends":    answersBeforeItEnds,
				"registers again after a reconnect":     registersAfterReconnect,
				"registers again after a lost registry": registersAfterLoss,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, f)
				})
			}
		})
	}
}

func pythonWorker(t *testing.T) foreign {
	t.Helper()
	return foreign{"named", []string{harness.Program(t, "python3"), filepath.Join(root, "examples/python/worker.py")}}
}

// nodeWorker installs the dependencies of the example in a copy of its folder.
func nodeWorker(t *testing.T) foreign {
	t.Helper()
	node, npm := harness.Program(t, "node"), harness.Program(t, "npm")
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples/node"))))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "node_modules")))
	install := exec.Command(npm, "ci", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		harness.SkipOutsideCI(t, "needs packages from the npm registry: %v: %s", err, out)
	}
	return foreign{"namecheck", []string{node, filepath.Join(dir, "worker.js")}}
}

func (f foreign) start(t *testing.T, url string) *harness.Process {
	t.Helper()
	cmd := exec.Command(f.command[0], f.command[1:]...)
	cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+url)
	return harness.StartCmd(t, cmd)
}

func decides(t *testing.T, f foreign) {
	t.Helper()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	f.start(t, b.Server.URL()).Stdout.Await(t, "registered")
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "ada"}})
	assert.Equal(t, "tell us your name first", scene.ErrorOf(t, err).Reason)
	result, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "ada", Name: "Ada Ä"}})
	require.NoError(t, err)
	require.Len(t, result.Apps, 1)
	assert.Equal(t, room.Allowed, result.Apps[0].Outcome)
}

func answersAsTheContractSays(t *testing.T, f foreign) {
	t.Helper()
	b := harness.New(t, roomsvc.Config{})
	f.start(t, b.Server.URL()).Stdout.Await(t, "registered")
	subject := "room.pre.userjoin." + f.app
	event := []byte(`{"room":{"id":"r"},"joiningUser":{"id":"ada","name":"Ada"}}`)

	elsewhere, err := b.NC.SubscribeSync("room.post.userjoin.r")
	require.NoError(t, err)
	require.NoError(t, b.NC.PublishRequest(subject, elsewhere.Subject, event))
	for _, asked := range []string{subject, subject + ".retry"} {
		reply, err := b.NC.Request(asked, event, harness.ReplyTime)
		require.NoError(t, err, asked)
		assert.JSONEq(t, `{"verdict":"allow"}`, string(reply.Data))
	}
	waiting, _, err := elsewhere.Pending()
	require.NoError(t, err)
	assert.Zero(t, waiting, "answers to a subject that is no inbox")

	for _, bad := range []string{`{`, `{}`} {
		reply, err := b.NC.Request(subject, []byte(bad), harness.ReplyTime)
		require.NoError(t, err, "it goes on after a failure")
		assert.Equal(t, "500", reply.Header.Get("Nats-Service-Error-Code"), bad)
		assert.NotEmpty(t, reply.Header.Get("Nats-Service-Error"))
	}
}

func waitsForTheService(t *testing.T, f foreign) {
	t.Helper()
	server := harness.NewServer(t)
	worker := f.start(t, server.URL())
	worker.Stderr.Await(t, "away|register:")
	harness.Serve(t, harness.Connect(t, server), roomsvc.Config{})
	worker.Stdout.Await(t, "registered")
}

func answersBeforeItEnds(t *testing.T, f foreign) {
	t.Helper()
	b := harness.New(t, roomsvc.Config{})
	worker := f.start(t, b.Server.URL())
	worker.Stdout.Await(t, "registered")
	worker.Stop()
	replies, err := b.NC.SubscribeSync(b.NC.NewRespInbox())
	require.NoError(t, err)
	event := []byte(`{"room":{"id":"r"},"joiningUser":{"id":"ada","name":"Ada"}}`)
	const asked = 5000 // more than the worker reads at once
	for range asked {
		require.NoError(t, b.NC.PublishMsg(&nats.Msg{Subject: "room.pre.userjoin." + f.app, Reply: replies.Subject, Data: event}))
	}
	require.NoError(t, b.NC.Flush())
	worker.Signal(syscall.SIGTERM)
	worker.Signal(syscall.SIGCONT)
	for range asked {
		reply, err := replies.NextMsg(harness.ReplyTime)
		require.NoError(t, err)
		require.JSONEq(t, `{"verdict":"allow"}`, string(reply.Data))
	}
	assert.Zero(t, worker.Wait())
	assert.Contains(t, worker.Stdout.String(), "ended")
}

func registersAfterReconnect(t *testing.T, f foreign) {
	t.Helper()
	server := harness.NewServer(t)
	harness.Serve(t, harness.Connect(t, server), roomsvc.Config{})
	proxy := harness.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	worker := f.start(t, proxy.URL())
	worker.Stdout.Await(t, "registered")
	proxy.Close()
	proxy.Open()
	worker.Stdout.Await(t, "(?s)registered.*registered")
}

// The worker checks every 30 seconds.
func registersAfterLoss(t *testing.T, f foreign) {
	t.Helper()
	b := harness.New(t, roomsvc.Config{})
	worker := f.start(t, b.Server.URL())
	worker.Stdout.Await(t, "registered")
	require.NoError(t, b.Service.Stop(t.Context()))
	require.NoError(t, b.JS.DeleteKeyValue(t.Context(), subjects.AppsBucket))
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{NewRegistry: true})
	worker.Stdout.Await(t, "(?s)registered.*registered")
}
