package e2e_test

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

// held is a user whose joins a worker process never decides.
var held = room.User{ID: "held"}

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
			if e.JoiningUser.ID == held.ID {
				select {}
			}
			return nil
		}})
		return
	}
	appworker.Main(m, appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
		fmt.Printf("asked about %s\n", e.JoiningUser.ID)
		if e.JoiningUser.ID == held.ID {
			select {}
		}
		return nil
	}})
}

// workerProcess starts a worker of the app as a process, and returns when it serves.
func workerProcess(t *testing.T, b *harness.Bus, m room.Manifest) *harness.Process {
	t.Helper()
	return workerProcessAt(t, b.Server.URL(), m)
}

func workerProcessAt(t *testing.T, url string, m room.Manifest) *harness.Process {
	t.Helper()
	p := workerCommand(t, url, m)
	p.Stderr.Await(t, "msg=serving app="+m.ID)
	return p
}

func workerCommand(t *testing.T, url string, m room.Manifest, env ...string) *harness.Process {
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
