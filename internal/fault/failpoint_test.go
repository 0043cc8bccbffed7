package fault_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// A room service that dies at the worst of moments leaves a command done or not done. The same
// command with the same id then makes the one event, or is answered with the one it has made.
//
// The points are the comments "gofail: var <point> struct{}" in the code.
func TestADeathAtThePoint(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		point  string
		stored bool // is the event, at that point?
	}{
		{point: "beforePublish", stored: false},
		{point: "afterPublish", stored: true}, // and the service has not looked at the acknowledgement
		{point: "beforeReply", stored: true},
	} {
		t.Run(at.point, func(t *testing.T) {
			t.Parallel()
			server := harness.NewServer(t)
			nc := harness.Connect(t, server)
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			b := &harness.Bus{Server: server, NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})}
			dying := serveFailing(t, server.URL(), at.point+`=1*off->panic("`+at.point+`")`) // the creation passes
			b.Create(t, "r")
			join := room.JoinRequest{RoomID: "r", User: room.User{ID: "u"}}

			ctx, cancel := context.WithCancel(t.Context())
			var asking sync.WaitGroup
			asking.Go(func() {
				_, err := b.Client.Join(ctx, join, roomclient.WithID("j"))
				assert.ErrorIs(t, err, context.Canceled)
			})
			require.Equal(t, 2, dying.Wait(), "the status of a program that panicked")
			cancel()
			asking.Wait()
			require.Contains(t, dying.Stderr.String(), "failpoint panic: "+at.point)
			left := b.Decoded(t)
			if at.stored {
				require.Len(t, left, 2)
				require.Equal(t, "j", left[1].ID)
			} else {
				require.Len(t, left, 1)
			}

			serveFailing(t, server.URL(), "")
			r, err := b.Client.Join(t.Context(), join, roomclient.WithID("j"))
			require.NoError(t, err)
			assert.True(t, r.Changed)
			events := b.Decoded(t)
			require.Len(t, events, 2, "the creation, and one join")
			assert.Equal(t, events[1].Ref(), *r.Event)
			assert.Equal(t, "j", r.Event.ID)
			requireChained(t, events)
			assert.Equal(t, []string{"owner", "u"}, b.Members(t, "r"))
		})
	}
}

// serveFailing starts a room service that has the failpoints, with these terms set.
func serveFailing(t *testing.T, url, terms string) *harness.Process {
	t.Helper()
	cmd := exec.Command(failing(t), "serve", "--nats", url)
	cmd.Env = harness.Env(t.TempDir(), "GOFAIL_FAILPOINTS="+terms)
	p := harness.StartCmd(t, cmd)
	p.Stderr.Await(t, `msg=serving`)
	return p
}

var (
	failingOnce   sync.Once
	failingBinary string
)

// failing is the roombus program with its failpoints, built once from a copy of the module.
func failing(t *testing.T) string {
	t.Helper()
	failingOnce.Do(func() {
		gofail := harness.Tool(t, harness.Gofail)
		dir := copyModule(t)
		run := func(program string, args ...string) {
			cmd := exec.Command(program, args...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		run(gofail, "enable", "bus", "roomsvc", "appworker")
		_, version, _ := strings.Cut(harness.Gofail, "@")
		run("go", "mod", "edit", "-require=go.etcd.io/gofail@"+version)
		program := filepath.Join(filepath.Dir(harness.Binary(t)), "roombus-failing") // removed with the other
		run("go", append([]string{"build", "-mod=mod", "-o", program}, append(harness.BuildFlags(), "./cmd/roombus")...)...)
		failingBinary = program
	})
	require.NotEmpty(t, failingBinary, "it could not be built")
	return failingBinary
}

// copyModule copies what the program is built from.
func copyModule(t *testing.T) string {
	t.Helper()
	from, to := filepath.Join("..", ".."), t.TempDir()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != from && strings.HasPrefix(name, "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") && name != "go.mod" && name != "go.sum" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	}))
	return to
}
