package cli_test

import (
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// The line of a creation names the phase of each verdict, and each line names its command.
func TestCLIEvents_LineNamesPhaseAndCommand(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	phases := []room.Interface{room.PreRoomCreatePrevent, room.PreRoomCreateExtend, room.PreRoomCreateModify}
	b.Register(t, room.Manifest{ID: "keeper", Implements: append(phases, room.PreRoomUserJoined)})
	for _, i := range append(phases, room.PreRoomUserJoined) {
		b.Answer(t, i, "keeper", harness.Says(`{"verdict":"allow"}`))
	}
	c.OK("room", "create", "lobby", "--id", "c1")
	c.OK("room", "join", "lobby", "bob", "--id", "c2")
	out := c.OK("events")
	assert.Contains(t, out, `members 1 [keeper prevent allowed] [keeper extend allowed] [keeper modify allowed]  [c1]`+"\n")
	assert.Contains(t, out, `bob joined [keeper allowed]  [c2]`+"\n")
}

func TestCLIExplain_TakesSequence(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	for _, of := range []struct{ id, room string }{{"7", "r"}, {"1", "q"}, {"c3", "s"}} { // some ids are numbers
		_, err := b.Client.Create(t.Context(), harness.NewRoom(of.room), roomclient.WithID(of.id))
		require.NoError(t, err)
	}
	_, err := b.JS.PublishMsg(t.Context(), &nats.Msg{Subject: "room.post.userjoin.r"})
	require.NoError(t, err)

	assert.Contains(t, c.OK("explain", "3"), "create s ")
	assert.Contains(t, c.OK("explain", "3"), "committed as event seq 3")
	assert.Contains(t, c.OK("explain", "7"), "create r ", "there is no event 7: it is the id")
	assert.Contains(t, c.OK("explain", "1"), "create r ")
	assert.Contains(t, c.OK("explain", "1", "--id"), "create q ")
	assert.Contains(t, c.OK("explain", "4"), "message 4, was not written by the room service")
	assert.Contains(t, c.Fails(4, "explain", "99"), `no trace of command "99", nor an event of that sequence,`)
	assert.Contains(t, c.Fails(4, "explain", "3", "--id"), `no trace of command "3" among`)
}

func TestCLI_LastShowsTheEndOfTheStream(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	const last = 1200 // more than the first window
	b.Create(t, "rare")
	for n := range last - 1 {
		msg := &nats.Msg{Subject: "room.post.userjoin.often", Header: nats.Header{"ce-id": {strconv.Itoa(n)}}}
		require.NoError(t, b.NC.PublishMsg(msg))
	}
	require.NoError(t, b.NC.Flush())
	require.Eventually(t, func() bool { return b.Messages(t, "ROOM_EVENTS") == last }, harness.ReplyTime, harness.Tick)

	seqs := func(args ...string) (seqs []uint64) {
		for _, l := range harness.JSONLines[struct{ Seq uint64 }](t, c.OK(append([]string{"events", "--json"}, args...)...)) {
			seqs = append(seqs, l.Seq)
		}
		return seqs
	}
	assert.Equal(t, []uint64{last - 1, last}, seqs("--last", "2"))
	assert.Equal(t, []uint64{1}, seqs("--last", "2", "--room", "rare"), "it is far from the end")
	assert.Equal(t, []uint64{1}, seqs("--last", "2", "--event", "create", "--since", "1d"))
	assert.Empty(t, seqs("--last", "2", "--since", "2100-01-01T00:00:00Z"))
	assert.Len(t, seqs("--last", "5000"), last)

	p := harness.Start(t, harness.Binary(t), "events", "--follow", "--last", "1", "--nats", c.URL, "--event", "create")
	p.Stdout.Await(t, `create +rare v1`)
	b.Create(t, "new")
	p.Stdout.Await(t, `create +new v1`)
	p.Signal(syscall.SIGINT)
	assert.Zero(t, p.Wait())
	assert.Equal(t, 2, strings.Count(p.Stdout.String(), "\n"))
}

// Rejections can only be chosen by app and kind after they have been read.
func TestCLI_LastCountsChosenRejections(t *testing.T) {
	t.Parallel()
	_, c := refusals(t)
	chosen := func(args ...string) (ids []string) {
		for _, r := range harness.JSONLines[room.Rejection](t, c.OK(append([]string{"rejections", "--json"}, args...)...)) {
			ids = append(ids, r.ID)
		}
		return ids
	}
	assert.Equal(t, []string{"c3"}, chosen("--last", "1"))
	assert.Equal(t, []string{"c2"}, chosen("--last", "1", "--kind", "blocked"))
	assert.Equal(t, []string{"c1", "c3"}, chosen("--last", "2", "--app", "bouncer"))
	assert.Equal(t, []string{"c1", "c2", "c3"}, chosen("--since", "7d"))
	assert.Equal(t, []string{"c1", "c2", "c3"}, chosen("--since", "1d12h"))

	for what, args := range map[string][]string{
		`roombus: there is no app "nobody"`:                                       {"rejections", "--app", "nobody"},
		`roombus: there is no room "nowhere", and the streams have nothing of it`: {"rejections", "--room", "nowhere"},
	} {
		status, stdout, stderr := c.Run(args...)
		assert.Zero(t, status)
		assert.Empty(t, stdout)
		assert.Equal(t, what+"\n", stderr)
	}
	assert.Empty(t, c.OK("rejections", "--app", "gone", "--kind", "aborted"), "the app is there")
	assert.NotEmpty(t, c.OK("rejections", "--room", "s"), "the room was never created, but a rejection names it")
}
