package cli_test

import (
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// refusals returns a bus with rejections: a denial of alice and a block of bob, at their joins to
// room r, and a denial of a creation.
func refusals(t *testing.T) (*harness.Bus, harness.CLI) {
	t.Helper()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "bouncer", Implements: []room.Interface{room.PreRoomUserJoined, room.PreRoomCreatePrevent}})
	b.Answer(t, room.PreRoomUserJoined, "bouncer", harness.Says(`{"verdict":"deny","reason":"closed\u001b[31m today"}`))
	b.Answer(t, room.PreRoomCreatePrevent, "bouncer", harness.Says(`{"verdict":"deny"}`))
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice, Inviter: &scene.Carol}, roomclient.WithID("c1"))
	require.Error(t, err)
	b.Rejections(t, 1) // wait for each: they are written asynchronously
	b.Register(t, room.Manifest{ID: "gone", Order: new(1), Implements: scene.OnJoin, Essentials: scene.OnJoin})
	b.Register(t, room.Manifest{ID: "bouncer", Version: "1.0.1", Implements: []room.Interface{room.PreRoomCreatePrevent}})
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob}, roomclient.WithID("c2"))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeEssentialAppUnavailable})
	b.Rejections(t, 2)
	_, err = b.Client.Create(t.Context(), harness.NewRoom("s"), roomclient.WithID("c3"))
	require.Error(t, err)
	b.Rejections(t, 3)
	return b, harness.NewCLI(t, b.Server.URL())
}

func TestCLIRejections(t *testing.T) {
	t.Parallel()
	b, c := refusals(t)
	const day = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`
	assert.Regexp(t, `^`+
		day+` +1  join r \(alice invited by carol\): denied by bouncer, user_not_allowed: closed·\[31m today  \[c1\]\n`+
		day+` +2  join r \(bob\): blocked by gone, essential_app_unavailable: (no live worker|no verdict within \d+ ms)  \[c2\]\n`+
		day+` +3  create s \(channel "s" by owner, members 1\): denied by bouncer, prevented  \[c3\]\n$`, c.OK("rejections"))

	ids := func(args ...string) []string {
		var ids []string
		for _, r := range harness.JSONLines[room.Rejection](t, c.OK(append([]string{"rejections", "--json"}, args...)...)) {
			ids = append(ids, r.ID)
		}
		return ids
	}
	assert.Equal(t, []string{"c1", "c2", "c3"}, ids())
	assert.Equal(t, []string{"c1", "c2"}, ids("--room", "r"))
	assert.Equal(t, []string{"c1", "c3"}, ids("--app", "bouncer"))
	assert.Equal(t, []string{"c2"}, ids("--app", "gone", "--room", "r"))
	assert.Equal(t, []string{"c2"}, ids("--kind", "blocked"))
	assert.Empty(t, ids("--kind", "aborted"))
	assert.Len(t, ids("--since", "1h"), 3)
	assert.Empty(t, ids("--since", "2100-01-01T00:00:00Z"))
	assert.Equal(t, uint64(1), harness.JSONLines[struct{ Seq uint64 }](t, c.OK("rejections", "--json"))[0].Seq)

	// A foreign message is shown as such.
	_, err := b.JS.Publish(t.Context(), "room.rejected.join.r", []byte("x"))
	require.NoError(t, err)
	assert.Contains(t, c.OK("rejections"), "room.rejected.join.r is no rejection: ")
	assert.Contains(t, c.OK("rejections", "--json"), `"quarantined":`)

	require.NoError(t, b.JS.DeleteStream(t.Context(), "ROOM_REJECTIONS"))
	assert.Contains(t, c.Fails(5, "rejections"), "stream not found")
}

func TestCLIRejectionsFollow(t *testing.T) {
	t.Parallel()
	b, c := refusals(t)
	p := harness.Start(t, harness.Binary(t), "rejections", "--follow", "--app", "gone", "--nats", c.URL)
	p.Stdout.Await(t, `\[c2\]`)
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c4"))
	require.Error(t, err)
	p.Stdout.Await(t, `\[c4\]`)
	assert.NotContains(t, p.Stdout.String(), "[c1]")
	p.Signal(syscall.SIGINT)
	assert.Zero(t, p.Wait())
	assert.Empty(t, p.Stderr.String())
}

// explain shows a denied and a later allowed try, with all verdicts.
func TestCLIExplain(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	b.Create(t, "r")
	verdicts := make(chan string, 2)
	verdicts <- `{"verdict":"deny","reason":"not\u0007 today"}`
	verdicts <- `{"verdict":"allow","warnings":["mind\u0007 the step"]}`
	b.Register(t, room.Manifest{ID: "moody", Implements: scene.OnJoin})
	b.Answer(t, room.PreRoomUserJoined, "moody", func(msg *nats.Msg) { _ = msg.Respond([]byte(<-verdicts)) })
	b.Register(t, room.Manifest{ID: "watcher", Order: new(200), Implements: scene.OnJoin, Shadow: true})
	b.Answer(t, room.PreRoomUserJoined, "watcher", harness.Says(`{"verdict":"deny"}`))
	c.Fails(3, "room", "join", "r", "alice", "--inviter", "bob", "--id", "c1")
	c.OK("room", "join", "r", "alice", "--inviter", "bob", "--id", "c1")
	b.Rejections(t, 1)

	const day = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`
	assert.Regexp(t, `^`+
		day+`  join r \(alice invited by bob\)\n`+
		`    moody +PreRoomUserJoined +denied +[\d.]+ ms  "not· today"\n`+
		`    watcher +PreRoomUserJoined +denied +[\d.]+ ms  \(shadow: not enforced\)\n`+
		`  = denied by moody, user_not_allowed: not· today\n`+
		`\n`+
		day+`  join r \(alice invited by bob\)\n`+
		`    moody +PreRoomUserJoined +allowed +[\d.]+ ms\n`+
		`    watcher +PreRoomUserJoined +denied +[\d.]+ ms  \(shadow: not enforced\)\n`+
		`    warning: mind· the step\n`+
		`  = committed as event seq 2, version 2 of the room\n$`, c.OK("explain", "c1", "--room", "r", "--since", "1h"))
	lines := harness.JSONLines[map[string]any](t, c.OK("explain", "c1", "--json"))
	require.Len(t, lines, 2)
	assert.Equal(t, "denied", lines[0]["kind"])
	assert.Equal(t, "userjoin", lines[1]["event"])

	created := b.Create(t, "other").Event.ID
	assert.Regexp(t, `^`+day+`  create other \(channel "other" by owner, members 1\)\n  = committed as event seq 3, version 1 of the room\n$`,
		c.OK("explain", created))

	assert.Regexp(t, `no trace of command "c9" among the 3 events and 1 rejections of all rooms; rejections are kept for 7 days.*changed: false`, c.Fails(4, "explain", "c9"))
	assert.Contains(t, c.Fails(4, "explain", "c1", "--room", "other"), "of room other; search the whole streams, without --room and --since")
	_, err := b.JS.PublishMsg(t.Context(), &nats.Msg{Subject: "room.post.userjoin.r", Header: nats.Header{"ce-id": {"forged"}}})
	require.NoError(t, err)
	assert.Contains(t, c.OK("explain", "forged"), "room.post.userjoin.r, message 4, was not written by the room service: ")
	assert.Contains(t, c.OK("explain", "forged", "--json"), `"quarantined":`)
}

func TestCLIExplainsABlockAndAnAbort(t *testing.T) {
	t.Parallel()
	_, c := refusals(t)
	assert.Regexp(t, `\n    gone +PreRoomUserJoined +(unavailable|timed_out) +[\d.]+ ms  "(no live worker|no verdict within \d+ ms)"\n  = blocked by gone, essential_app_unavailable: (no live worker|no verdict within \d+ ms)\n$`, c.OK("explain", "c2"))

	b := harness.New(t, roomsvc.Config{MaxConflicts: 1})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "mover", Implements: scene.OnJoin})
	moves := 0
	b.Answer(t, room.PreRoomUserJoined, "mover", func(msg *nats.Msg) {
		moves++
		scene.MoveRoom(t, b, scene.PreRoom(msg), moves)
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	c = harness.NewCLI(t, b.Server.URL())
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`, "Nats-Msg-Id", "c1"), room.CodeConflict)
	b.Rejections(t, 1)
	assert.Regexp(t, `\n    mover +PreRoomUserJoined +allowed +[\d.]+ ms\n  = aborted, conflict: the room changed 2 times meanwhile; send the command again\n$`, c.OK("explain", "c1"))
}
