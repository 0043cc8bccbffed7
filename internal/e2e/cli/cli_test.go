package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
)

func TestCLIRooms(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	b.Register(t, room.Manifest{ID: "guard", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomCreate}, Essentials: []room.Interface{room.PreRoomUserJoined}})
	b.Answer(t, room.PreRoomUserJoined, "guard", harness.Says(`{"verdict":"deny","reason":"closed today"}`))

	create := []string{"room", "create", "lobby", "--creator", "ada", "--member", `{"id":"ben","name":"Ben","roles":["admin"]}`, "--member", "cleo", "--field", "limit=9007199254740993", "--field", "motto=be kind", "--id", "cmd-1"}
	out := c.OK(create...)
	assert.Contains(t, out, "changed: room lobby, version 1, members 3 (event cmd-1, seq 1)")
	assert.Contains(t, c.OK(create...), "changed:", "sent again")
	assert.Contains(t, c.Fails(2, "room", "create", "lobby", "--creator", "ada", "--id", "cmd-1"), "was used for another command")
	out = c.OK("room", "get", "lobby")
	for _, line := range []string{`creator +ada`, `members +3`, `field limit +9007199254740993`, `field motto +"be kind"`} {
		assert.Regexp(t, line, out)
	}
	got := harness.JSONLines[room.Room](t, c.OK("room", "get", "lobby", "--json"))
	assert.Equal(t, "lobby", got[0].SlugifiedName)
	assert.Contains(t, c.OK("room", "leave", "lobby", "cleo", "--removed-by", "ada"), "members 2")
	assert.Contains(t, c.OK("room", "leave", "lobby", "cleo"), "unchanged:")
	assert.Regexp(t, `(?m)^USER .*\nada .*\nben `, c.OK("room", "members", "lobby"))
	assert.Equal(t, []room.User{{ID: "ada"}, {ID: "ben", Name: "Ben", Roles: []string{"admin"}}}, harness.JSONLines[room.User](t, c.OK("room", "members", "lobby", "--json")))
	assert.Regexp(t, `(?m)^lobby +lobby +channel +2 +2 `, c.OK("room", "ls"))
	assert.Len(t, harness.JSONLines[room.Room](t, c.OK("room", "ls", "--json")), 1)
	assert.Regexp(t, `(?m)^guard +app +1\.0\.0 +100 +enabled +\? +0 .* closed +1 \(\d+s\) +0 +PostRoomCreate PreRoomUserJoined\*$`, c.OK("app", "ls"))
	assert.Regexp(t, `PreRoomUserJoined \(essential\)`, c.OK("app", "info", "guard"))
	assert.Equal(t, "guard", harness.JSONLines[room.Manifest](t, c.OK("app", "ls", "--json"))[0].ID)

	assert.Contains(t, c.Fails(3, "room", "join", "lobby", "mallory", "--inviter", "ben"), "user_not_allowed: app guard denied it: closed today")
	assert.Contains(t, c.Fails(6, "room", "create", "lobby"), "room_exists")
	assert.Contains(t, c.Fails(4, "room", "get", "nowhere"), "room_not_found")
	c.Fails(4, "room", "join", "nowhere", "ada")
	c.Fails(4, "room", "members", "nowhere")
	c.Fails(4, "room", "history", "nowhere")
	c.Fails(4, "app", "info", "nobody")
	c.Fails(2, "room", "get", "a.b")
	c.Fails(2, "room", "join", "lobby", "")

	assert.Regexp(t, `lobby v1 +channel "lobby" by ada, members 3  \[cmd-1\]\n.*v2 +cleo left removed by ada  \[[\w-]+\]\n$`, c.OK("room", "history", "lobby"))
	assert.Contains(t, c.OK("room", "delete", "lobby", "--by", "ada"), "version 3")
	assert.Contains(t, c.OK("room", "history", "lobby"), "delete", "also of a deleted room")
	assert.Equal(t, []string{"create", "userleave", "delete"}, eventTypes(t, c.OK("events", "--json")))
	assert.Equal(t, []string{"delete"}, eventTypes(t, c.OK("events", "--json", "--event", "delete")))
	assert.Equal(t, []string{"create", "userleave", "delete"}, eventTypes(t, c.OK("events", "--json", "--room", "lobby", "--since", "1h")))
	status, stdout, stderr := c.Run("events", "--room", "other")
	assert.Zero(t, status)
	assert.Empty(t, stdout)
	assert.Equal(t, "roombus: there is no room \"other\", and the streams have nothing of it\n", stderr)
	assert.Empty(t, c.OK("events", "--since", "2100-01-01T00:00:00Z"))
}

func TestCLI_MemberIsTakenWhole(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.NewCLI(t, b.Server.URL()).OK("room", "create", "r", "--creator", "owner", "--member", "cn=Bob Roe,ou=people", "--member", `"quoted"`)
	assert.Equal(t, []string{`"quoted"`, "cn=Bob Roe,ou=people", "owner"}, b.Members(t, "r"))
}

func TestCLI_RoomListFilters(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	c.OK("room", "create", "a", "--slug", "news-2", "--creator", "ada")
	c.OK("room", "create", "b", "--slug", "news", "--creator", "bob", "--type", "live_chat")
	c.OK("room", "create", "c", "--slug", "chat", "--creator", "ada")
	for args, want := range map[string]string{
		"":                                 "a b c",
		"--member ada":                     "a c",
		"--slug-prefix news":               "b a",
		"--type live_chat":                 "b",
		"--member ada --slug-prefix news":  "a",
		"--member bob --type channel":      "",
		"--slug-prefix new --type channel": "a",
	} {
		var ids []string
		for _, r := range harness.JSONLines[room.Room](t, c.OK(append([]string{"room", "ls", "--json"}, strings.Fields(args)...)...)) {
			ids = append(ids, r.ID)
		}
		assert.Equal(t, want, strings.Join(ids, " "), args)
	}
	assert.Contains(t, c.Fails(2, "room", "ls", "--type", "club"), "type must be one of channel")
}

func eventTypes(t *testing.T, out string) []string {
	t.Helper()
	var types []string
	for _, e := range harness.JSONLines[struct{ Event string }](t, out) {
		types = append(types, e.Event)
	}
	return types
}

// If the client has chosen no command id, the error contains the id, and with it the rejection can
// be found.
func TestCLI_RefusedCommandNamesOutcomesAndID(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin})
	b.Answer(t, room.PreRoomUserJoined, "guard", harness.Says(`{"verdict":"deny","reason":"closed"}`))
	b.Register(t, room.Manifest{ID: "watcher", Implements: scene.OnJoin, Shadow: true})
	b.Answer(t, room.PreRoomUserJoined, "watcher", harness.Says(`{"verdict":"allow"}`))

	said := c.Fails(3, "room", "join", "r", "bob")
	shown := regexp.MustCompile(`^roombus: user_not_allowed: app guard denied it: closed\n` +
		` +guard +PreRoomUserJoined +denied +[\d.]+ ms  "closed"\n` +
		` +watcher +PreRoomUserJoined +allowed +[\d.]+ ms  \(shadow: not enforced\)\n` +
		` +command ([\w-]+); for its whole story: roombus explain ([\w-]+)\n$`).FindStringSubmatch(said)
	require.NotNil(t, shown, said)
	assert.Equal(t, shown[1], shown[2])
	assert.Equal(t, shown[1], b.Rejections(t, 1)[0].ID)
	assert.Contains(t, c.OK("explain", shown[1]), "denied by guard")

	status, stdout, stderr := c.Run("room", "join", "r", "bob", "--json", "--id", "c2")
	assert.Equal(t, 3, status)
	assert.Empty(t, stdout)
	of := harness.JSONLines[room.Error](t, stderr)
	require.Len(t, of, 1)
	assert.Equal(t, room.CodeUserNotAllowed, of[0].Code)
	assert.Equal(t, "c2", of[0].CommandID)
	assert.Len(t, of[0].Apps, 2)

	assert.NotContains(t, c.OK("app", "info", "guard"), "LAST FAILURE", "a denial is no failure")
	b.Register(t, room.Manifest{ID: "broken", Implements: scene.OnJoin})
	b.Answer(t, room.PreRoomUserJoined, "broken", harness.Says(`{"verdict":`))
	b.Register(t, room.Manifest{ID: "guard", Version: "2.0.0", Implements: []room.Interface{room.PreRoomUserLeave}})
	c.OK("room", "join", "r", "carol", "--id", "c3")
	assert.Regexp(t, `(?m)^PreRoomUserJoined +[-\d]+ [:\d]+ +failed +c3 +the verdict cannot be read: `, c.OK("app", "info", "broken"))

	assert.NotContains(t, c.Fails(4, "room", "join", "nowhere", "bob"), "explain", "it leaves no rejection")
	_, _, stderr = harness.NewCLI(t, "nats://127.0.0.1:1").Run("room", "get", "r", "--json")
	assert.Contains(t, harness.JSONLines[map[string]string](t, stderr)[0]["message"], "roombus serve has an embedded one")
}

func TestCLIUsage(t *testing.T) {
	t.Parallel()
	c := harness.NewCLI(t, "nats://127.0.0.1:1")
	for _, args := range [][]string{
		{"frobnicate"},
		{"room", "frobnicate"},
		{"room", "get"},
		{"room", "get", "a", "b"},
		{"room", "get", "--colour", "a"},
		{"room", "create", "a", "--field", "novalue"},
		{"events", "extra"},
		{"health", "--host", "a", "--local"},
		{"health", "--timeout", "0s"},
		{"demo", "--listen", "127.0.0.1:0"},
		{"replay"},
		{"replay", "/nonexistent"},
		{"replay", "-", "--concurrency", "0"},
		{"replay", "-", "--limit", "-1"},
		{"replay", "-"},
		{"serve", "--sync", "never"},
		{"serve", "--replicas", "2"},
		{"serve", "--worker-wait", "0s"},
		{"serve", "--log-level", "loud"},
		{"room", "get", "a", "--timeout", "0"},
		{"replay", "-", "--timeout", "-1s"},
		{"serve", "--reply-prefix", "room"},
		{"serve", "--store-dir", "/tmp/x"},
		{"serve", "--listen", "127.0.0.1:0"},
		{"events", "--event", "explode"},
		{"events", "--since", "yesterday"},
		{"events", "--since", "d"},
		{"events", "--since", "1.5d"},
		{"events", "--since", "1d-1h"},
		{"events", "--since", "99999999999d"},
		{"events", "--last", "-1"},
		{"events", "--room", "a.b"},
		{"rejections", "--kind", "lost"},
		{"rejections", "--room", "a.b"},
		{"rejections", "--app", "a.b"},
		{"rejections", "--since", "yesterday"},
		{"explain"},
		{"explain", "a.b"},
		{"explain", "a", "--since", "yesterday"},
	} {
		c.Fails(2, args...)
	}
	for _, args := range [][]string{{"room", "get", "a"}, {"app", "ls"}, {"events"}, {"room", "history", "a"}, {"rejections"}, {"explain", "a"}, {"health"}} {
		assert.Contains(t, c.Fails(5, args...), "roombus serve has an embedded one", args)
	}
	assert.Contains(t, harness.WontServe(t, "--nats", c.URL), "roombus serve has an embedded one")
	status, stdout, _ := c.Run("room")
	assert.Zero(t, status)
	assert.Contains(t, stdout, "history")
	assert.Contains(t, c.OK("completion", "bash"), "roombus")
}

// Text from apps and users cannot move the terminal's cursor.
func TestCLI_ControlCharactersAreShownAsDots(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "evil", Implements: []room.Interface{room.PreRoomUserJoined}})
	b.Answer(t, room.PreRoomUserJoined, "evil", harness.Says(`{"verdict":"deny","reason":"\u001b[31mred\u0007"}`))
	req := harness.NewRoom("r")
	req.Room.SlugifiedName, req.Room.DisplayName = "a\tb", "\x1b[2Jgone"
	_, err := b.Client.Create(t.Context(), req)
	require.NoError(t, err)
	c := harness.NewCLI(t, b.Server.URL())
	for _, out := range []string{c.OK("room", "get", "r"), c.OK("room", "ls"), c.Fails(3, "room", "join", "r", "bob"), c.OK("events")} {
		assert.NotContains(t, out, "\x1b")
		assert.NotContains(t, out, "\x07")
	}
	assert.Contains(t, c.OK("room", "get", "r"), "·[2Jgone")

	// Neither can a forged rejection.
	forged := nats.NewMsg("room.rejected.join.r")
	for key, value := range map[string]string{"ce-id": "forged", "ce-type": "room.rejected.join", "ce-subject": "r"} {
		forged.Header.Set(key, value)
	}
	forged.Data = []byte(`{"id":"forged","time":"2026-01-02T15:04:05Z","command":"join","room":"r","user":"u\u001b[2J","kind":"\u001b]0;pwned\u0007",
		"error":{"code":"\u001b[31m","message":"\u001b","app":"\u001b","reason":"\u0007","apps":[{"app":"\u001b","interface":"\u001b","outcome":"ok\n  = committed as event seq 9","ms":1,"changed":["\u001b"]}]}}`)
	_, err = b.JS.PublishMsg(t.Context(), forged)
	require.NoError(t, err)
	for _, out := range []string{c.OK("rejections"), c.OK("explain", "forged")} {
		assert.Contains(t, out, "pwned")
		assert.NotContains(t, out, "\x1b")
		assert.NotContains(t, out, "\x07")
		assert.NotContains(t, out, "\n  = committed")
	}
}

func TestCLI_NoService(t *testing.T) {
	t.Parallel()
	c := harness.NewCLI(t, harness.NewServer(t).URL())
	assert.Equal(t, "roombus: unavailable: no room service answers on this NATS; roombus serve runs one\n", c.Fails(5, "room", "get", "a", "--timeout", "200ms"))
	for _, args := range [][]string{{"events"}, {"rejections"}, {"explain", "a"}} {
		assert.Contains(t, c.Fails(5, args...), "stream not found; start the room service")
	}
}

func TestCLIEventsFollow(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	p := harness.Start(t, harness.Binary(t), "events", "--follow", "--nats", b.Server.URL(), "--room", "r")
	p.Stdout.Await(t, `create +r v1`)
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	p.Stdout.Await(t, `userjoin +r v2 +alice joined`)
	p.Signal(syscall.SIGINT)
	assert.Zero(t, p.Wait())
	assert.Empty(t, p.Stderr.String())
}

func TestCLI_LostOutputIsAFailure(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	for _, args := range []string{"room get r", "room ls --json", "events"} {
		cmd := exec.Command("bash", "-c", harness.Binary(t)+" "+args+" >/dev/full")
		cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+b.Server.URL())
		p := harness.StartCmd(t, cmd)
		assert.Equal(t, 1, p.Wait(), args)
		assert.Contains(t, p.Stderr.String(), "no space left on device")
	}
}

func TestCLIReplay_InterruptedWhileWaitingForInput(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	in, out, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = in.Close(), out.Close() })
	cmd := exec.Command(harness.Binary(t), "replay", "-", "--nats", b.Server.URL())
	cmd.Env = harness.Env(t.TempDir())
	cmd.Stdin = in
	p := harness.StartCmd(t, cmd)
	_, err = out.WriteString("time,action,room,user\n2008-01-01T00:00:00Z,join,a,u1\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := b.Client.Get(t.Context(), "a")
		return err == nil
	}, harness.ReplyTime, harness.Tick)
	p.Signal(syscall.SIGINT)
	assert.Equal(t, 130, p.Wait())
	assert.Contains(t, p.Stdout.String(), "commands")
}

func TestDemo(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	run := func(args ...string) *harness.Process {
		cmd := exec.Command(harness.Binary(t), append([]string{"demo"}, args...)...)
		cmd.Env = harness.Env(t.TempDir(), "TMPDIR="+tmp)
		return harness.StartCmd(t, cmd)
	}
	left := func() []string {
		left, err := filepath.Glob(filepath.Join(tmp, "*"))
		require.NoError(t, err)
		return left
	}
	p := run("--json")
	require.Zero(t, p.Wait())
	assert.Empty(t, p.Stderr.String())
	assert.Empty(t, left(), "it leaves nothing behind")
	used := map[string]bool{}
	for _, e := range harness.JSONLines[struct{ Kind, Interface string }](t, p.Stdout.String()) {
		used[e.Interface] = true
	}
	for _, i := range room.Interfaces() {
		assert.True(t, used[string(i)], i)
	}

	p = run()
	require.Zero(t, p.Wait())
	out := p.Stdout.String()
	assert.Regexp(t, `mallory joins harbor +[\d.]+ ms\n +guard +PreRoomUserJoined +denied +[\d.]+ ms +"mallory is banned"\n +=`, out)
	assert.Regexp(t, `dora joins harbor +[\d.]+ ms\n +guard +PreRoomUserJoined +unavailable +[\d.]+ ms +"no live worker"\n  = essential_app_unavailable`, out)
	assert.Regexp(t, `\$ roombus explain dora-joins\n.*join harbor \(dora\)\n +guard +PreRoomUserJoined +unavailable .*\n  = blocked by guard, essential_app_unavailable: no live worker\n\n.*join harbor \(dora\)\n +guard +PreRoomUserJoined +allowed .*\n +warning: .*\n  = committed as event`, out)
	assert.NotContains(t, out, "\x1b", "colours only on a terminal")

	piped := exec.Command("bash", "-c", harness.Binary(t)+" demo | head -n 1; exit ${PIPESTATUS[0]}")
	piped.Env = harness.Env(t.TempDir(), "TMPDIR="+tmp)
	p = harness.StartCmd(t, piped)
	assert.Contains(t, []int{0, 141}, p.Wait(), "head may be slower than the demo")
	assert.Empty(t, p.Stderr.String())
	assert.Empty(t, left(), "also if the output is closed early")

	p = run("--keep", "--listen", "127.0.0.1:0")
	url := p.Stderr.Await(t, `NATS_URL=(\S+)`)[1]
	assert.Contains(t, harness.NewCLI(t, url).OK("room", "ls"), "lobby")
	p.Signal(syscall.SIGINT)
	assert.Zero(t, p.Wait())
	assert.Empty(t, left())
}

func TestCLIReplay(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "guard", Implements: []room.Interface{room.PreRoomUserJoined}})
	b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) {
		var e room.UserJoin
		_ = json.Unmarshal(msg.Data, &e)
		verdict := `{"verdict":"allow"}`
		if e.JoiningUser.ID == "mallory" {
			verdict = `{"verdict":"deny"}`
		}
		_ = msg.Respond([]byte(verdict))
	})
	rows := []string{
		"time,action,room,user",
		"2008-01-01T00:00:00Z,join,a,u1",
		"2008-01-01T00:00:00Z,join,a,u1",
		"2008-01-01T00:00:00Z,join,a b,u1",
		"2008-01-01T00:00:00Z,join,b,mallory",
		"2008-01-01T00:00:00Z,leave,b,nobody",
	}
	cmd := exec.Command(harness.Binary(t), "replay", "-", "--nats", b.Server.URL())
	cmd.Env = harness.Env(t.TempDir())
	cmd.Stdin = strings.NewReader(strings.Join(rows, "\n"))
	p := harness.StartCmd(t, cmd)
	require.Zero(t, p.Wait())
	assert.Equal(t, "-: line 4: invalid_request: roomId must be 1 to 64 of the characters A-Z a-z 0-9 _ -, not \"a b\"\n", p.Stderr.String())
	for _, line := range []string{`commands +4\n`, `changed +1\n`, `unchanged +2\n`, `denied +1\n`, `failed +0\n`, `bad rows +1\n`, `rooms created +2\n`, `p99\.9 `} {
		assert.Regexp(t, line, p.Stdout.String())
	}
	file := filepath.Join(t.TempDir(), "bad.csv")
	require.NoError(t, os.WriteFile(file, []byte("who,what\n"), 0o600))
	assert.Contains(t, harness.NewCLI(t, b.Server.URL()).Fails(2, "replay", file), `its first line must be "time,action,room,user"`)
}
