package scene

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
)

// workerManifest is the environment variable that makes the test program a worker, with the app's
// manifest as JSON.
const workerManifest = "ROOMBUS_TEST_WORKER"

// Held is a user whose joins a worker process never decides.
var Held = room.User{ID: "held"}

// Main runs the tests of a package, or a worker: tests that need a worker process start this program
// again.
func Main(m *testing.M) {
	if manifest := os.Getenv(workerManifest); manifest != "" {
		workerMain(manifest)
		return
	}
	harness.Main(m)
}

// workerMain is the program of a worker process. It lets every user join and prints the user,
// except for user held, for which it blocks. If the manifest asks for post-events, it prints the
// joined users, and blocks on events about held.
func workerMain(manifest string) {
	var m appworker.Manifest
	if err := json.Unmarshal([]byte(manifest), &m); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if slices.Contains(m.Implements, room.PostRoomUserJoined) {
		appworker.Main(m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			fmt.Printf("told of %s, attempt %d\n", e.JoiningUser.ID, appworker.Attempt(ctx))
			if e.JoiningUser.ID == Held.ID {
				select {}
			}
			return nil
		}})
		return
	}
	appworker.Main(m, appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
		fmt.Printf("asked about %s\n", e.JoiningUser.ID)
		if e.JoiningUser.ID == Held.ID {
			select {}
		}
		return nil
	}})
}

// WorkerProcess starts a worker of the app as a process, and returns when it serves.
func WorkerProcess(t testing.TB, b *harness.Bus, m room.Manifest) *harness.Process {
	t.Helper()
	return WorkerProcessAt(t, b.Server.URL(), m)
}

// WorkerProcessAt is WorkerProcess for the server with that URL.
func WorkerProcessAt(t testing.TB, url string, m room.Manifest) *harness.Process {
	t.Helper()
	p := WorkerCommand(t, url, m)
	p.Stderr.Await(t, "msg=serving app="+m.ID)
	return p
}

// WorkerCommand is WorkerProcessAt with an environment. It does not wait until the worker serves.
func WorkerCommand(t testing.TB, url string, m room.Manifest, env ...string) *harness.Process {
	t.Helper()
	m.Version = cmp.Or(m.Version, "1.0.0")
	manifest, err := json.Marshal(m)
	require.NoError(t, err)
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = harness.Env(t.TempDir(), append(env, "NATS_URL="+url, workerManifest+"="+string(manifest))...)
	return harness.StartCmd(t, cmd)
}
