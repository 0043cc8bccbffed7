package cli_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

func TestCLI_DisableOfEssentialAppWantsForce(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	both := []room.Interface{room.PreRoomUserJoined, room.PreRoomCreatePrevent}
	b.Register(t, room.Manifest{ID: "guard", Implements: both, Essentials: both})
	b.Register(t, room.Manifest{ID: "optional", Implements: both})
	c := harness.NewCLI(t, b.Server.URL())

	assert.Contains(t, c.Fails(2, "app", "disable", "guard"),
		"app guard is essential: while it is disabled, the service refuses join, create; "+
			"to let them pass: roombus app shadow guard on; to refuse them: --force")
	assert.Contains(t, c.OK("app", "info", "guard"), "enabled")
	assert.Equal(t, "app optional 1.0.0 is disabled\n", c.OK("app", "disable", "optional"))
	assert.Equal(t, "app guard 1.0.0 is disabled\n", c.OK("app", "disable", "guard", "--force"))
	assert.Equal(t, "app guard 1.0.0 is disabled\n", c.OK("app", "disable", "guard"), "nothing more is blocked")
	c.OK("app", "enable", "guard")
	c.OK("app", "shadow", "guard", "on")
	assert.Equal(t, "app guard 1.0.0 is disabled, shadow\n", c.OK("app", "disable", "guard"), "a shadow blocks nothing")
}

func TestCLI_RemoveOfAppWithEventsWantsForce(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	c := harness.NewCLI(t, b.Server.URL())
	ledger := room.Manifest{ID: "ledger", Implements: []room.Interface{room.PostRoomUserJoined}}
	b.Register(t, ledger)
	assert.Equal(t, "app ledger is removed\n", c.OK("app", "rm", "ledger"))

	b.Register(t, ledger)
	scene.JoinEach(t, b, "r", "alice", "bob")
	assert.Contains(t, c.Fails(2, "app", "remove", "ledger"), "post-events that wait for app ledger and would be dropped: 2; to drop them: --force")
	// The events also wait while a version without post-interfaces is registered.
	b.Register(t, room.Manifest{ID: "ledger", Version: "2.0.0", Implements: scene.OnJoin})
	assert.Contains(t, c.Fails(2, "app", "remove", "ledger"), "dropped: 2;")
	assert.Regexp(t, `(?m)^parked events +2$`, c.OK("app", "info", "ledger"))
	assert.Equal(t, "app ledger is removed; post-events that waited for it and are dropped: 2\n", c.OK("app", "remove", "ledger", "--force"))

	b.Register(t, ledger)
	scene.JoinEach(t, b, "r", "carol")
	out := harness.JSONLines[struct {
		ID      string
		Dropped int
	}](t, c.OK("app", "remove", "ledger", "--force", "--json"))
	assert.Equal(t, "ledger", out[0].ID)
	assert.Equal(t, 1, out[0].Dropped)
}

func TestCLI_PurgeOfAllDeadLettersWantsAll(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error {
		return appworker.Discard(errors.New("never"))
	}})
	scene.JoinEach(t, b, "r", "alice", "bob")
	scene.DeadLetters(t, b, 2)
	c := harness.NewCLI(t, b.Server.URL())
	assert.Contains(t, c.Fails(2, "dead", "purge"), "say --all")
	assert.Contains(t, c.Fails(2, "dead", "purge", "--all", "--app", "ledger"), "--all goes without")
	assert.Len(t, b.Stored(t, "ROOM_DEAD_LETTERS"), 2)
	assert.Contains(t, c.OK("app", "ls"), "ledger")
	assert.Equal(t, "roombus: there is no dead letter 99\n", c.Fails(4, "dead", "replay", "99"))
	assert.Equal(t, "purged: 2 dead letters\n", c.OK("dead", "purge", "--all"))
	status, _, stderr := c.Run("dead", "list", "--app", "nobody")
	assert.Zero(t, status)
	assert.Equal(t, "roombus: there is no app \"nobody\"\n", stderr)
	status, _, stderr = c.Run("dead", "list", "--room", "nowhere")
	assert.Zero(t, status)
	assert.Equal(t, "roombus: there is no room \"nowhere\", and the streams have nothing of it\n", stderr)
	_, _, stderr = c.Run("dead", "list", "--room", "r")
	assert.Empty(t, stderr)
}

// The post-event counters come from the workers: handled, failed, running, and for how long.
func TestAppInfo_PostEvents(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	began, release := make(chan struct{}), make(chan struct{})
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		switch e.JoiningUser.ID {
		case "poison":
			return appworker.Discard(errors.New("bad\nnews"))
		case "slow":
			close(began)
			<-release
		}
		return nil
	}})
	scene.JoinEach(t, b, "r", "alice", "poison", "bob", "slow")
	<-began
	info := func() room.AppState {
		app, err := b.Client.App(t.Context(), "ledger")
		require.NoError(t, err)
		return *app.State
	}
	require.Eventually(t, func() bool { return info().Post[room.PostRoomUserJoined].LongestMs > 0 }, harness.ReplyTime, harness.Tick)
	got := info()
	running := got.Post[room.PostRoomUserJoined]
	running.LongestMs = 0
	assert.Equal(t, room.PostFigures{Handled: 2, Failed: 1, InHand: 1, LastError: "discarded: bad\nnews"}, running)
	assert.EqualValues(t, 1, got.DeadLetters)
	assert.False(t, got.Unseen)
	c := harness.NewCLI(t, b.Server.URL())
	out := c.OK("app", "info", "ledger")
	assert.Regexp(t, `(?m)^dead letters +1$`, out)
	assert.Regexp(t, `(?m)^INTERFACE +HANDLED +FAILED +RUNNING +LONGEST +LAST ERROR\nPostRoomUserJoined +2 +1 +1 +\d+[sm] +discarded: bad·news$`, out)
	assert.Regexp(t, `(?m)^ledger .* closed +1 \(\d+[sm]\) +1 +PostRoomUserJoined$`, c.OK("app", "list"))
	assert.Empty(t, harness.JSONLines[room.App](t, c.OK("app", "ls", "--json"))[0].State.Post)

	close(release)
	require.Eventually(t, func() bool {
		f := info().Post[room.PostRoomUserJoined]
		return f.Handled == 3 && f.InHand == 0 && f.LongestMs == 0
	}, harness.ReplyTime, harness.Tick)
}

// Workers that do not speak the micro protocol are detected by their subscriptions and pull
// requests.
func TestAppState_WorkersThatCannotBeCounted(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "asked", Implements: scene.OnJoin})
	b.Register(t, room.Manifest{ID: "told", Implements: []room.Interface{room.PostRoomCreate}})
	b.Register(t, room.Manifest{ID: "away", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomCreate}})
	b.Work(t, room.Manifest{ID: "counted"}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }})
	c := harness.NewCLI(t, b.Server.URL())
	workers := func(app string) string {
		for line := range strings.Lines(c.OK("app", "ls")) {
			if columns := strings.Fields(line); columns[0] == app {
				return columns[5]
			}
		}
		return ""
	}
	for app, want := range map[string]string{"asked": "0", "told": "0", "away": "0", "counted": "1"} {
		assert.Equal(t, want, workers(app), app)
	}
	got := make(chan struct{}, 10)
	_, err := b.NC.QueueSubscribe("room.pre.userjoin.asked", "asked", harness.Says(`{"verdict":"allow"}`))
	require.NoError(t, err)
	require.NoError(t, b.NC.Flush())
	consumer, err := b.JS.Consumer(t.Context(), "ROOM_EVENTS", "told")
	require.NoError(t, err)
	go func() {
		_, _ = consumer.Next() // the iterator ends with the test
		got <- struct{}{}
	}()
	require.Eventually(t, func() bool { return workers("told") == "?" }, harness.ReplyTime, harness.Tick)
	for app, want := range map[string]string{"asked": "?", "away": "0", "counted": "1"} {
		assert.Equal(t, want, workers(app), app)
	}
	assert.Contains(t, c.OK("app", "info", "asked"), "no worker speaks the micro protocol")
	assert.Regexp(t, `(?m)^workers +none$`, c.OK("app", "info", "away"))
	b.Create(t, "r")
	<-got
}

func TestCLI_RoomNames(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	made := harness.JSONLines[room.Result](t, c.OK("room", "create", "--json"))[0]
	assert.Equal(t, made.Event.ID, made.Room.ID)
	assert.Equal(t, made.Event.ID, made.Room.SlugifiedName)
	assert.Equal(t, "c1", harness.JSONLines[room.Result](t, c.OK("room", "create", "--json", "--id", "c1"))[0].Room.SlugifiedName)
	c.OK("room", "create", "x", "--slug", "the-big-room")
	out := c.OK("room", "get", "x")
	assert.Regexp(t, `(?m)^slug +the-big-room\ndisplay name +-$`, out)
	assert.Contains(t, c.OK("room", "list"), "SLUG")
	c.OK("room", "create", "y", "--name", "old-flag")
	assert.Contains(t, c.OK("room", "get", "y"), "old-flag")
	assert.Contains(t, c.OK("room", "join", "--help"), "NATS user name, not a user of rooms")
}

func TestCLI_SuggestsCommands(t *testing.T) {
	t.Parallel()
	c := harness.NewCLI(t, "nats://127.0.0.1:1")
	for typed, meant := range map[string]string{
		"room creat": `there is no command "creat": is it create? `,
		"evnts":      `: is it events? `,
		"app lst":    `: is it ls? `,
		"frobnicate": `there is no command "frobnicate" (see`,
		"room x":     `there is no command "x" (see`,
	} {
		assert.Contains(t, c.Fails(2, strings.Fields(typed)...), meant, typed)
	}
	assert.Equal(t, c.OK("--version"), c.OK("version"))
}

// A command that is interrupted while it waits ends at once, and prints only that.
func TestCLI_Interrupted(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for name, of := range map[string]struct {
		args []string
		at   string // when to interrupt it; empty: when it waits for input
	}{
		"app register": {args: []string{"app", "register"}},
		"demo":         {args: []string{"demo"}, at: `ben `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, out, err := os.Pipe()
			require.NoError(t, err)
			t.Cleanup(func() { _, _ = in.Close(), out.Close() })
			cmd := exec.Command(harness.Binary(t), of.args...)
			cmd.Env = harness.Env(t.TempDir(), "TMPDIR="+t.TempDir())
			if of.at == "" {
				cmd.Env = append(cmd.Env, "NATS_URL="+b.Server.URL())
			}
			cmd.Stdin = in
			p := harness.StartCmd(t, cmd)
			if of.at != "" {
				p.Stdout.Await(t, of.at)
			} else {
				_, err = out.WriteString(strings.Repeat(" ", 1<<20)) // the command is reading: a pipe holds less than this
				require.NoError(t, err)
			}
			p.Signal(syscall.SIGINT)
			assert.Equal(t, 130, p.Wait())
			assert.Equal(t, "roombus: interrupted\n", p.Stderr.String())
		})
	}
}
