package commands_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// breeder creates a room whenever a room is created, including its own.
type breeder struct {
	refused chan error
	calls   atomic.Int64
}

func (a *breeder) PostRoomCreate(ctx context.Context, e room.Created) error {
	a.calls.Add(1)
	_, err := appworker.Rooms(ctx).Create(ctx, room.CreateRequest{
		Room: room.NewRoom{SlugifiedName: "child", Type: room.Channel}, Creator: e.Room.Creator,
	})
	if errors.Is(err, &room.Error{Code: room.CodeInvalidRequest}) {
		a.refused <- err
		return appworker.Discard(err)
	}
	return err
}

// An app that reacts to its own events is refused after 16 of them, and its last event is a dead
// letter.
func TestLoop_EndsAfterSixteenCauses(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	app := &breeder{refused: make(chan error, 10)}
	b.Work(t, room.Manifest{ID: "breeder"}, app)
	first := b.Create(t, "first")
	err := <-app.refused
	require.ErrorContains(t, err, "17 causes, at most 16 are allowed: the commands from "+first.Event.ID+" to ")
	b.RequireDrained(t, "breeder")
	events := b.Decoded(t)
	require.Len(t, events, 1+room.MaxCauses)
	var ids []string
	for _, e := range events {
		assert.Equal(t, strings.Join(ids, ","), strings.Join(e.CausedBy, ","))
		ids = append(ids, e.ID)
	}
	assert.Equal(t, int64(len(events)), app.calls.Load())
	assert.Empty(t, app.refused)
	assert.Len(t, b.Stored(t, "ROOM_DEAD_LETTERS"), 1)

	// Its replay is the same event, and refused for the same reason.
	harness.NewCLI(t, b.Server.URL()).OK("dead", "replay", "1")
	require.ErrorContains(t, <-app.refused, "17 causes")
	b.RequireDrained(t, "breeder")
	assert.Len(t, b.Events(t), len(events))
}

// A command sent by a pre-event handler is caused by the command of the pre-event.
func TestCauses_OfCommandFromPreEventHandler(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Create(t, "log")
	b.Work(t, room.Manifest{ID: "logger", TimeoutMs: new(10000)}, appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, e room.UserJoin) error {
		if e.Room.ID == "log" {
			return nil
		}
		_, err := appworker.Rooms(ctx).Join(ctx, room.JoinRequest{RoomID: "log", User: e.JoiningUser})
		return err
	}})
	reply := b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"alice"}}`, "Nats-Msg-Id", "c3", "Room-Caused-By", "c1,c2")
	require.Empty(t, reply.Header.Get("Nats-Service-Error"))
	caused := make(map[string]string)
	for _, e := range b.Decoded(t)[2:] {
		caused[e.Room] = strings.Join(e.CausedBy, ",")
	}
	assert.Equal(t, map[string]string{"log": "c1,c2,c3", "r": "c1,c2"}, caused)
}

func chainOf(n int) string {
	var ids []string
	for k := range n {
		ids = append(ids, fmt.Sprintf("c%d", k))
	}
	return strings.Join(ids, ",")
}

// A command carries its causes, and so do its pre-events, its event and its rejection.
func TestCauses_OnTheWire(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, TimeoutMs: new(10_000)})
	asked := make(chan string, 1)
	b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) {
		asked <- msg.Header.Get("Room-Caused-By")
		verdict := `{"verdict":"allow"}`
		if strings.Contains(string(msg.Data), "mallory") {
			verdict = `{"verdict":"deny"}`
		}
		_ = msg.Respond([]byte(verdict))
	})
	join := func(user, causes string) *nats.Msg {
		return b.Request(t, "room.svc.join", fmt.Sprintf(`{"roomId":"r","user":{"id":%q}}`, user), "Nats-Msg-Id", "join-"+user, "Room-Caused-By", causes)
	}
	require.Empty(t, join("alice", chainOf(16)).Header.Get("Nats-Service-Error"))
	assert.Equal(t, chainOf(16), <-asked)
	assert.Equal(t, chainOf(16), b.Events(t)[1].Header.Get("Room-Caused-By"))
	assert.NotContains(t, b.Events(t)[0].Header, "Room-Caused-By")

	assert.Equal(t, "403", join("mallory", "c1,c2").Header.Get("Nats-Service-Error-Code"))
	<-asked
	assert.Equal(t, []string{"c1", "c2"}, b.Rejections(t, 1)[0].CausedBy)

	for _, bad := range []string{chainOf(17), "c1,c 2", "c1,"} {
		reply := join("bob", bad)
		assert.Equal(t, "400", reply.Header.Get("Nats-Service-Error-Code"), bad)
		assert.JSONEq(t, `"invalid_request"`, field(t, reply.Data, "code"))
	}
	assert.Empty(t, asked, "nothing is done before")
	assert.Len(t, b.Events(t), 2)
	assert.Contains(t, field(t, join("bob", chainOf(17)).Data, "message"), "command join-bob has 17 causes, at most 16 are allowed: the commands from c0 to c16")

	c := harness.NewCLI(t, b.Server.URL())
	assert.Contains(t, c.OK("explain", "join-alice"), "\n    caused by c0, c1, c2, ")
	assert.Contains(t, c.OK("explain", "join-mallory"), "\n    caused by c1, c2\n")
	assert.NotContains(t, c.OK("explain", b.Decoded(t)[0].ID), "caused by")
	lines := harness.JSONLines[struct{ CausedBy []string }](t, c.OK("events", "--json"))
	assert.Equal(t, chainOf(16), strings.Join(lines[1].CausedBy, ","))
	assert.Equal(t, []string{"c1", "c2"}, harness.JSONLines[struct{ CausedBy []string }](t, c.OK("rejections", "--json"))[0].CausedBy)
}
