package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// root is the folder of the project.
const root = "../../.."

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

// The README's first app is the example, and the README's commands have the described results.
func TestREADME(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile(filepath.Join(root, "examples/guard/main.go"))
	require.NoError(t, err)
	assert.Equal(t, []string{string(code)}, fenced(t, "README.md", "go"))

	blocks := fenced(t, "README.md", "sh")
	require.Len(t, blocks, 10)
	assert.Equal(t, "go run ./cmd/roombus demo\n", blocks[0])
	assert.Equal(t, "make test\n", blocks[1])
	assert.Equal(t, "go run ./cmd/roombus serve\n", blocks[2])
	assert.Equal(t, "go run ./examples/guard\n", blocks[5])

	_, url := harness.ServeProcess(t, "--store-dir", t.TempDir())
	c := harness.NewCLI(t, url)
	commands := func(block string) {
		t.Helper()
		for line := range strings.Lines(block) {
			command, says, refuses := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "go run ./cmd/roombus ")), "#")
			if refuses {
				assert.Contains(t, c.Fails(3, strings.Fields(command)...), strings.TrimSpace(says))
				continue
			}
			assert.NotEmpty(t, c.OK(strings.Fields(command)...))
		}
	}
	apply := shell(t, t.TempDir(), filepath.Dir(harness.Binary(t)), url, strings.ReplaceAll(blocks[3], "go run ./cmd/roombus", "roombus"))
	require.Zero(t, apply.Wait())
	_, applied, _ := strings.Cut(strings.SplitN(blocks[3], "\n", 2)[0], "# ")
	assert.Equal(t, applied+"\n", apply.Stdout.String())
	commands(blocks[4])

	harness.Example(t, "guard", url).Stderr.Await(t, "msg=serving app=guard")
	commands(blocks[6])

	// The same app with the nats CLI: the second command runs next to the third.
	nats := func(line string) *harness.Process {
		cmd := exec.Command("bash", "-c", "exec "+line)
		cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+url, "PATH="+filepath.Dir(harness.Tool(t, harness.NATSCLI))+":"+os.Getenv("PATH"))
		return harness.StartCmd(t, cmd)
	}
	app := strings.Split(strings.TrimSpace(blocks[7]), "\n")
	require.Len(t, app, 2)
	nats(app[0]).Stdout.Await(t, `"id":"closed"`)
	nats(app[1])
	require.Eventually(t, func() bool {
		_, err := harness.BusAt(t, url).NC.Request("room.pre.userjoin.closed", nil, harness.ReplyTime)
		return err == nil
	}, harness.ReplyTime, harness.Tick, "the app answers")
	requests := strings.Split(strings.TrimSpace(blocks[8]), "\n")
	require.Len(t, requests, 2)
	nats(requests[0]).Stdout.Await(t, `"code":"user_not_allowed".*"reason":"closed for today"`)
	nats(requests[1]).Stdout.Await(t, `"id":"closed"`)

	rejected := harness.JSONLines[room.Rejection](t, c.OK("rejections", "--json"))
	for line := range strings.Lines(strings.ReplaceAll(blocks[9], "COMMAND-ID", rejected[0].ID)) {
		assert.NotEmpty(t, c.OK(strings.Fields(line)[1:]...), line)
	}
}

func TestPlainExample(t *testing.T) {
	t.Parallel()
	_, url := harness.ServeProcess(t, "--store-dir", t.TempDir())
	p := harness.Example(t, "plain", url)
	p.Stdout.Await(t, "registered")
	c := harness.NewCLI(t, url)
	assert.Contains(t, c.Fails(3, "room", "create", "lobby"), "say what the room is about")
	c.OK("room", "create", "lobby", "--description", "everything")
	c.OK("room", "join", "lobby", "alice", "--id", "cmd-1")
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
	harness.Example(t, "moderator", b.Server.URL()).Stderr.Await(t, "msg=serving app=moderator")
	group, open := harness.NewRoom("group"), harness.NewRoom("open")
	group.Room.Type = room.PrivateGroup
	for _, r := range []room.CreateRequest{group, open} {
		_, err := b.Client.Create(t.Context(), r)
		require.NoError(t, err)
	}
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "open", User: scene.Bob})
	require.NoError(t, err)
	assert.Equal(t, room.Skipped, r.Apps[0].Outcome, "its condition does not hold")
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "group", User: scene.Bob})
	assert.Equal(t, "tell us your name first", scene.ErrorOf(t, err).Reason)
	longest := roomclient.WithID("order-" + strings.Repeat("0", room.MaxTokenBytes-len("order-")))
	for user, opts := range map[string][]roomclient.Option{"bob": nil, "carol": {longest}} {
		r, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "group", User: room.User{ID: user, Name: user}}, opts...)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := b.Client.Get(t.Context(), room.CommandID("welcome", r.Event.ID))
			return err == nil
		}, harness.ReplyTime, harness.Tick, user)
	}
}
