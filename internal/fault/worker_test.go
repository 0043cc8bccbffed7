package fault_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
)

// The environment variables that make the test program a worker of an app, and name the file in
// which it records the handled events.
const (
	workerApp    = "ROOMBUS_TEST_WORKER"
	workerRecord = "ROOMBUS_TEST_RECORD"
)

// The apps. The guard is essential for joins, refuses one user and gets all events. The greeter
// gets the events of joins.
const (
	guard   = "guard"
	greeter = "greeter"
	banned  = "banned"
)

// apps returns the manifests. An event is retried however many workers it kills.
func apps() map[string]room.Manifest {
	const attempts = room.MaxMaxAttempts
	return map[string]room.Manifest{
		guard: {
			ID: guard, Version: "1.0.0", Essentials: []room.Interface{room.PreRoomUserJoined}, MaxAttempts: new(attempts),
			Implements: []room.Interface{
				room.PreRoomUserJoined, room.PostRoomCreate, room.PostRoomDeleted, room.PostRoomUserJoined, room.PostRoomUserLeave,
				room.PreRoomUpdatePrevent, room.PostRoomUpdated, room.PreRoomUserUpdatePrevent, room.PostRoomUserUpdated,
			},
		},
		greeter: {ID: greeter, Version: "1.0.0", Implements: []room.Interface{room.PostRoomUserJoined}, MaxAttempts: new(attempts)},
	}
}

// workerMain is the program of a worker. Its record survives a kill.
func workerMain(app string) {
	record, err := os.OpenFile(os.Getenv(workerRecord), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	write := func(e room.EventRef) error {
		_, err := fmt.Fprintln(record, e.ID, os.Getpid())
		return err
	}
	joined := appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error { return write(e.Event) }}
	if app == fragile {
		appworker.Main(appworker.Manifest{ID: app, Version: "1.0.0"}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
			if e.JoiningUser.ID == "poison" {
				os.Exit(3)
			}
			return write(e.Event)
		}})
		return
	}
	if app == greeter {
		appworker.Main(apps()[app], joined)
		return
	}
	appworker.Main(apps()[app],
		appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
			if e.JoiningUser.ID == banned {
				return room.UserNotAllowed("you are banned")
			}
			return nil
		}},
		joined,
		appworker.Handlers{
			PostRoomCreate:    func(_ context.Context, e room.Created) error { return write(e.Event) },
			PostRoomDeleted:   func(_ context.Context, e room.Deleted) error { return write(e.Event) },
			PostRoomUserLeave: func(_ context.Context, e room.UserLeft) error { return write(e.Event) },

			PreRoomUpdatePrevent:     func(context.Context, room.Update) error { return nil },
			PostRoomUpdated:          func(_ context.Context, e room.Updated) error { return write(e.Event) },
			PreRoomUserUpdatePrevent: func(context.Context, room.UserUpdate) error { return nil },
			PostRoomUserUpdated:      func(_ context.Context, e room.UserUpdated) error { return write(e.Event) },
		})
}

// records is the folder of the records.
type records struct{ dir string }

func (r records) file(app string) string { return filepath.Join(r.dir, app) }

// keepWorker keeps a worker of the app running, and returns when it serves.
func keepWorker(t *testing.T, url, app string, r records) *victim {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	env := harness.Env(t.TempDir(), "NATS_URL="+url, workerApp+"="+app, workerRecord+"="+r.file(app))
	v := keep(t, "worker of "+app, func() *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = env
		return cmd
	})
	v.Output.Await(t, "msg=serving app="+app)
	return v
}

// handling is an event that a worker has recorded.
type handling struct{ event, process string }

// handled returns the events that the app's workers have handled, in that order.
func (r records) handled(t *testing.T, app string) (all []handling) {
	t.Helper()
	data, err := os.ReadFile(r.file(app))
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		event, process, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		all = append(all, handling{event, process})
	}
	return all
}
