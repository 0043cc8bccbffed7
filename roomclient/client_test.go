package roomclient_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T) (*embedded.Server, *nats.Conn) {
	t.Helper()
	server := harness.NewServer(t)
	return server, harness.Connect(t, server)
}

func refusal(code, status, body string) *nats.Msg {
	return &nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {status}, "Nats-Service-Error": {code}}, Data: []byte(body)}
}

// After a lost reply or a temporary error, the client sends the same command with the same id.
func TestClient_RepeatsCommandUntilFinalReply(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	answers := []*nats.Msg{
		nil,
		refusal("overloaded", "429", `{"code":"overloaded","message":"m"}`),
		refusal("conflict", "409", `{"code":"conflict","message":"m"}`),
		refusal("unavailable", "503", `{"code":"unavailable","message":"m"}`),
		refusal("deadline_exceeded", "504", `{"code":"deadline_exceeded","message":"m"}`),
		{Data: []byte(`{"changed":true,"room":{"id":"r"},"new":"from a newer service"}`)},
	}
	ids := make(chan string, len(answers))
	n := 0
	_, err := nc.Subscribe("room.svc.join", func(msg *nats.Msg) {
		ids <- msg.Header.Get("Nats-Msg-Id") + " " + string(msg.Data)
		if answers[n] != nil {
			_ = msg.RespondMsg(answers[n])
		}
		n++
	})
	require.NoError(t, err)
	c := roomclient.New(nc, roomclient.Config{AttemptTimeout: 250 * time.Millisecond})
	r, err := c.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "u"}})
	require.NoError(t, err)
	assert.True(t, r.Changed)
	close(ids)
	first := <-ids
	assert.Regexp(t, `^[0-9a-f-]{36} \{"roomId":"r","user":\{"id":"u"\}\}$`, first)
	for id := range ids {
		assert.Equal(t, first, id)
	}
}

func TestClient_FinalErrorIsNotRepeated(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	asked := 0
	_, err := nc.Subscribe("room.svc.join", func(msg *nats.Msg) {
		asked++
		assert.Equal(t, "mine of trace", msg.Header.Get("Nats-Msg-Id")+" of "+msg.Header.Get("traceparent"))
		_ = msg.RespondMsg(refusal("user_not_allowed", "403",
			`{"code":"user_not_allowed","message":"m","app":"guard","reason":"closed","apps":[{"app":"guard","interface":"PreRoomUserJoined","outcome":"denied","ms":1}]}`))
	})
	require.NoError(t, err)
	c := roomclient.New(nc, roomclient.Config{})
	_, err = c.Join(t.Context(), room.JoinRequest{}, roomclient.WithID("mine"), roomclient.WithTraceParent("trace"))
	var e *room.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "guard", e.App)
	assert.Equal(t, "closed", e.Reason)
	assert.Equal(t, room.Denied, e.Apps[0].Outcome)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUserNotAllowed})
	assert.Equal(t, 1, asked)
}

// Sending an update again that expects another version cannot succeed.
func TestClient_VersionConflictIsNotRepeated(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	var asked atomic.Int64
	_, err := nc.Subscribe("room.svc.update", func(msg *nats.Msg) {
		asked.Add(1)
		_ = msg.RespondMsg(refusal("conflict", "409", `{"code":"conflict","message":"m","version":7}`))
	})
	require.NoError(t, err)
	c := roomclient.New(nc, roomclient.Config{})
	_, err = c.Update(t.Context(), room.UpdateRequest{RoomID: "r", Patch: room.Patch{}, IfVersion: 6})
	var e *room.Error
	require.ErrorAs(t, err, &e)
	assert.EqualValues(t, 7, e.Version)
	assert.EqualValues(t, 1, asked.Load())
}

func TestClient_ContextDeadlineBoundsCall(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := roomclient.New(nc, roomclient.Config{}).Get(ctx, "r")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	assert.Contains(t, err.Error(), "no room service answers")

	timeouts := make(chan string, 1)
	_, err = nc.Subscribe("room.svc.get", func(msg *nats.Msg) { timeouts <- msg.Header.Get("Room-Timeout-Ms") })
	require.NoError(t, err)
	_, err = roomclient.New(nc, roomclient.Config{Timeout: 50 * time.Millisecond}).Get(t.Context(), "r")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Regexp(t, `^[1-5]?\d$`, <-timeouts, "the request carries its timeout")

	cancelled, stop := context.WithCancel(t.Context())
	stop()
	_, err = roomclient.New(nc, roomclient.Config{}).Get(cancelled, "r")
	require.ErrorIs(t, err, context.Canceled)
}

func TestClient_InvalidRequestOrReply(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	c := roomclient.New(nc, roomclient.Config{Timeout: 100 * time.Millisecond})
	_, err := c.Join(t.Context(), room.JoinRequest{RoomID: strings.Repeat("x", 2<<20)})
	require.ErrorIs(t, err, &room.Error{Code: room.CodeTooLarge})

	for subject, answer := range map[string]*nats.Msg{
		"room.svc.get":     {Data: []byte(`garbage`)},
		"room.svc.members": refusal("x", "500", `garbage`),
	} {
		_, err := nc.Subscribe(subject, func(msg *nats.Msg) { _ = msg.RespondMsg(answer) })
		require.NoError(t, err)
	}
	_, err = c.Get(t.Context(), "r")
	require.ErrorContains(t, err, "reading the answer on room.svc.get")
	_, err = c.Members(t.Context(), room.MembersRequest{})
	require.ErrorContains(t, err, "cannot be read: x")

	nc.Close()
	_, err = c.Get(t.Context(), "r")
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
}

// A page without rooms is not the last one if it has a cursor.
func TestClient_AllRoomsReadsPastEmptyPages(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	pages := map[string]string{
		`{"member":"u","type":"live_chat","cursor":"c","limit":1000}`: `{"rooms":[],"cursor":"m"}`,
		`{"member":"u","type":"live_chat","cursor":"m","limit":1000}`: `{"rooms":[{"id":"r"}]}`,
	}
	_, err := nc.Subscribe("room.svc.list", func(msg *nats.Msg) { _ = msg.Respond([]byte(pages[string(msg.Data)])) })
	require.NoError(t, err)
	c := roomclient.New(nc, roomclient.Config{})
	rooms := c.AllRooms(t.Context(), room.ListRequest{Member: "u", Type: room.LiveChat, Cursor: "c"})
	for range 2 { // the sequence can be read again
		var ids []string
		for r, err := range rooms {
			require.NoError(t, err)
			ids = append(ids, r.ID)
		}
		assert.Equal(t, []string{"r"}, ids)
	}
}
