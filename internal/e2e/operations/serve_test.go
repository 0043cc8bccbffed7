package operations_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

func TestServe_ErrorsNameTheRemedy(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	assert.Regexp(t, `address in use; stop the other server, choose another address with --listen`,
		harness.WontServe(t, "--listen", taken.Addr().String(), "--store-dir", t.TempDir()))

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.Regexp(t, `cannot write to the folder.*choose another folder with --store-dir`,
		harness.WontServe(t, "--listen", "127.0.0.1:0", "--store-dir", filepath.Join(file, "x")))

	dir := t.TempDir()
	harness.ServeProcess(t, "--store-dir", dir)
	assert.Regexp(t, `another server runs on this folder; stop it, or choose another folder with --store-dir`,
		harness.WontServe(t, "--listen", "127.0.0.1:0", "--store-dir", dir))

	assert.Contains(t, harness.WontServe(t, "--context", "none"), `NATS context "none"`)
}

// By default the data is in the state folder of the XDG base directories.
func TestServe_DefaultStoreDir(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	state := filepath.Join(home, "state")
	for _, want := range []string{"rooms=0", "rooms=1"} {
		cmd := exec.Command(harness.Binary(t), "serve", "--listen", "127.0.0.1:0", "--sync", "always")
		cmd.Env = harness.Env(home, "XDG_STATE_HOME="+state)
		p := harness.StartCmd(t, cmd)
		url := p.Stderr.Await(t, `url=(nats://\S+)`)[1]
		p.Stderr.Await(t, `msg=serving `+want)
		if want == "rooms=0" {
			harness.BusAt(t, url).Create(t, "r")
		}
		p.Signal(syscall.SIGTERM)
		assert.Zero(t, p.Wait())
	}
	assert.DirExists(t, filepath.Join(state, "roombus", "jetstream"))
}

// The first signal drains: the requests in progress are answered. The second signal ends the
// process at once.
func TestServe_TwoSignals(t *testing.T) {
	t.Parallel()
	begin := func() (*harness.Process, *harness.Bus, *nats.Msg, <-chan error) {
		p, url := harness.ServeProcess(t, "--store-dir", t.TempDir())
		b := harness.BusAt(t, url)
		b.Create(t, "r")
		b.Register(t, room.Manifest{ID: "slow", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(30_000)})
		asked := make(chan *nats.Msg, 10)
		b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) { asked <- msg })
		done := make(chan error, 1)
		go func() {
			_, err := b.NC.Request(subjects.Room(subjects.Join), []byte(`{"roomId":"r","user":{"id":"u"}}`), harness.ReplyTime)
			done <- err
		}()
		held := <-asked
		p.Signal(syscall.SIGINT)
		p.Stderr.Await(t, "draining")
		return p, b, held, done
	}
	p, b, held, done := begin()
	require.Eventually(t, func() bool {
		_, err := b.NC.Request(subjects.Room(subjects.Get), []byte(`{"roomId":"r"}`), harness.ReplyTime)
		return errors.Is(err, nats.ErrNoResponders)
	}, harness.ReplyTime, harness.Tick, "it takes no more")
	require.NoError(t, held.Respond([]byte(`{"verdict":"allow"}`)))
	require.NoError(t, <-done)
	assert.Zero(t, p.Wait())
	assert.Contains(t, p.Stderr.String(), "stopped")

	p, _, _, _ = begin()
	p.Signal(syscall.SIGINT)
	assert.NotZero(t, p.Wait())
	assert.NotContains(t, p.Stderr.String(), "stopped")
}
