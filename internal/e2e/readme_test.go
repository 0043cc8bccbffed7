package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// root is the folder of the project.
const root = "../.."

// fenced returns the code blocks of a language in a Markdown file.
func fenced(t *testing.T, file, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// example builds an example and runs it against the bus.
func example(t *testing.T, name, url string, env ...string) *harness.Process {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("go", "build", "-o", binary, "github.com/roombus/roombus/examples/"+name).CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(binary)
	cmd.Env = harness.Env(t.TempDir(), append(env, "NATS_URL="+url)...)
	return harness.StartCmd(t, cmd)
}

// The README's first app is the example, and the README's commands have the described results.
func TestREADME(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile(filepath.Join(root, "examples/guard/main.go"))
	require.NoError(t, err)
	assert.Equal(t, []string{string(code)}, fenced(t, "README.md", "go"))

	blocks := fenced(t, "README.md", "sh")
	require.Len(t, blocks, 8)
	assert.Equal(t, "go run ./cmd/roombus demo\n", blocks[0])
	assert.Equal(t, "make test\n", blocks[1])
	assert.Equal(t, "go run ./cmd/roombus serve\n", blocks[2])
	assert.Equal(t, "go run ./examples/guard\n", blocks[3])

	_, url := harness.ServeProcess(t, "--store-dir", t.TempDir())
	example(t, "guard", url).Stderr.Await(t, "msg=serving app=guard")
	c := cli{t, url}
	for line := range strings.Lines(blocks[4]) {
		command, says, refuses := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "go run ./cmd/roombus ")), "#")
		if refuses {
			assert.Contains(t, c.fails(3, strings.Fields(command)...), strings.TrimSpace(says))
			continue
		}
		assert.NotEmpty(t, c.ok(strings.Fields(command)...))
	}

	// The same app with the nats CLI: the second command runs next to the third.
	nats := func(line string) *harness.Process {
		cmd := exec.Command("bash", "-c", "exec "+line)
		cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+url, "PATH="+filepath.Dir(harness.Tool(t, harness.NATSCLI))+":"+os.Getenv("PATH"))
		return harness.StartCmd(t, cmd)
	}
	app := strings.Split(strings.TrimSpace(blocks[5]), "\n")
	require.Len(t, app, 2)
	nats(app[0]).Stdout.Await(t, `"id":"closed"`)
	nats(app[1])
	require.Eventually(t, func() bool {
		_, err := busAt(t, url).NC.Request("room.pre.userjoin.closed", nil, replyTime)
		return err == nil
	}, replyTime, tick, "the app answers")
	requests := strings.Split(strings.TrimSpace(blocks[6]), "\n")
	require.Len(t, requests, 2)
	nats(requests[0]).Stdout.Await(t, `"code":"user_not_allowed".*"reason":"closed for today"`)
	nats(requests[1]).Stdout.Await(t, `"id":"closed"`)

	rejected := jsonLines[room.Rejection](t, c.ok("rejections", "--json"))
	for line := range strings.Lines(strings.ReplaceAll(blocks[7], "COMMAND-ID", rejected[0].ID)) {
		assert.NotEmpty(t, c.ok(strings.Fields(line)[1:]...), line)
	}
}

func TestPlainExample(t *testing.T) {
	t.Parallel()
	_, url := harness.ServeProcess(t, "--store-dir", t.TempDir())
	p := example(t, "plain", url)
	p.Stdout.Await(t, "registered")
	c := cli{t, url}
	assert.Contains(t, c.fails(3, "room", "create", "lobby"), "say what the room is about")
	c.ok("room", "create", "lobby", "--description", "everything")
	c.ok("room", "join", "lobby", "alice", "--id", "cmd-1")
	p.Stdout.Await(t, "cmd-1: alice joined lobby")
}

// The app in docs/apps.md is the example, and behaves as described.
func TestAppsPage(t *testing.T) {
	t.Parallel()
	var shown []string
	for _, file := range []string{"main.go", "main_test.go"} {
		code, err := os.ReadFile(filepath.Join(root, "examples/moderator", file))
		require.NoError(t, err)
		shown = append(shown, string(code))
	}
	assert.Equal(t, shown, fenced(t, "docs/apps.md", "go"))

	b := harness.New(t, roomsvc.Config{})
	example(t, "moderator", b.Server.URL()).Stderr.Await(t, "msg=serving app=moderator")
	group, open := harness.NewRoom("group"), harness.NewRoom("open")
	group.Room.Type = room.PrivateGroup
	for _, r := range []room.CreateRequest{group, open} {
		_, err := b.Client.Create(t.Context(), r)
		require.NoError(t, err)
	}
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "open", User: bob})
	require.NoError(t, err)
	assert.Equal(t, room.Skipped, r.Apps[0].Outcome, "its condition does not hold")
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "group", User: bob})
	assert.Equal(t, "tell us your name first", code(t, err).Reason)
	longest := roomclient.WithID("order-" + strings.Repeat("0", room.MaxTokenBytes-len("order-")))
	for user, opts := range map[string][]roomclient.Option{"bob": nil, "carol": {longest}} {
		r, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "group", User: room.User{ID: user, Name: user}}, opts...)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := b.Client.Get(t.Context(), room.CommandID("welcome", r.Event.ID))
			return err == nil
		}, replyTime, tick, user)
	}
}
