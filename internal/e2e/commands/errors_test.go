package commands_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for subject, bodies := range map[string][]string{
		"room.svc.create":   {``, `{}`, `x`, `{"room":{"id":"a b","slugifiedName":"n","type":"channel"},"creator":{"id":"u"}}`},
		"room.svc.delete":   {`{}`, `{"roomId":"*"}`, `{"roomId":"r","force":1}`, `{"` + strings.Repeat("x", 1<<20-100) + `":1}`},
		"room.svc.join":     {`{}`, `{"roomId":"r"}`, `[]`},
		"room.svc.leave":    {`{}`, `{"roomId":"r","user":"u"}`},
		"room.svc.get":      {``, `{}`, `{"roomId":"r","x":1}`, `{"roomId":"a.b"}`},
		"room.svc.list":     {`{"limit":-1}`, `{"limit":1001}`, `{"limit":"all"}`, `{"type":"club"}`, `{"member":"\u0000"}`, `{"cursor":"r:n"}`},
		"room.svc.members":  {`{}`, `{"roomId":"r","limit":1001}`},
		"room.app.register": {``, `{"id":"a"}`, `{"id":"a","version":"1","implements":["PostRoomCreate"]}`},
		"room.app.info":     {`{}`, `{"id":"a b"}`},
		"room.app.list":     {`{"id":">"}`},
		"room.param.put":    {``, `{"name":"a"}`, `{"name":"a-b","document":1}`, `{"name":"a","document":{"b":1,"b":2}}`, `{"name":"a","document":1,"ifRevision":-1}`},
		"room.param.get":    {``, `{}`, `{"name":">"}`},
		"room.param.list":   {`{"name":">"}`},
		"room.param.remove": {``, `{"name":"a.b"}`},
	} {
		for _, body := range bodies {
			scene.Refused(t, b.Request(t, subject, body), room.CodeInvalidRequest)
		}
	}
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`, "Nats-Msg-Id", "not a token"), room.CodeInvalidRequest)
	assert.Empty(t, b.Events(t))
}

// A client that chose no id finds the id in the error. Errors of queries and of malformed commands
// have none.
func TestErrors_CommandHasID(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	join := `{"roomId":"r","user":{"id":"u"}}`
	assert.Equal(t, "c1", scene.Refused(t, b.Request(t, "room.svc.join", join, "Nats-Msg-Id", "c1"), room.CodeRoomNotFound).CommandID)
	assert.NoError(t, room.ValidateToken("id", scene.Refused(t, b.Request(t, "room.svc.join", join), room.CodeRoomNotFound).CommandID))
	assert.Equal(t, "c2", scene.Refused(t, b.Request(t, "room.svc.join", `{}`, "Nats-Msg-Id", "c2"), room.CodeInvalidRequest).CommandID)
	assert.Empty(t, scene.Refused(t, b.Request(t, "room.svc.join", join, "Nats-Msg-Id", "not a token"), room.CodeInvalidRequest).CommandID)
	assert.Empty(t, scene.Refused(t, b.Request(t, "room.svc.get", `{"roomId":"r"}`, "Nats-Msg-Id", "c3"), room.CodeRoomNotFound).CommandID)

	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c4"))
	assert.Equal(t, "c4", scene.ErrorOf(t, err).CommandID)
	require.NoError(t, b.Service.Stop(t.Context()))
	short := roomclient.New(b.NC, roomclient.Config{Timeout: 200 * time.Millisecond})
	_, err = short.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("c5"))
	assert.Equal(t, "c5", scene.ErrorOf(t, err).CommandID, "no service has answered")
	_, err = short.Get(t.Context(), "r")
	assert.Empty(t, scene.ErrorOf(t, err).CommandID)
}

func TestNotFoundAndExists(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for subject, body := range map[string]string{
		"room.svc.delete":  `{"roomId":"r"}`,
		"room.svc.join":    `{"roomId":"r","user":{"id":"u"}}`,
		"room.svc.leave":   `{"roomId":"r","user":{"id":"u"}}`,
		"room.svc.get":     `{"roomId":"r"}`,
		"room.svc.members": `{"roomId":"r"}`,
	} {
		scene.Refused(t, b.Request(t, subject, body), room.CodeRoomNotFound)
	}
	scene.Refused(t, b.Request(t, "room.app.info", `{"id":"nobody"}`), room.CodeAppNotFound)
	b.Create(t, "r")
	scene.Refused(t, b.Request(t, "room.svc.create", `{"room":{"id":"r","slugifiedName":"n","type":"channel"},"creator":{"id":"u"}}`), room.CodeRoomExists)
	assert.Len(t, b.Events(t), 1)
}

// largeUsers returns users that together take so many bytes.
func largeUsers(id string, bytes int) []room.User {
	const each = 100 << 10
	var users []room.User
	for n := 0; bytes > 0; n++ {
		users = append(users, room.User{ID: id + strconv.Itoa(n), Name: strings.Repeat("z", min(bytes, each))})
		bytes -= each
	}
	return users
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	body := `{"room":{"id":"r","slugifiedName":"n","type":"channel","description":"` + strings.Repeat("x", 64<<10) + `"},"creator":{"id":"u"}}`
	scene.Refused(t, b.Request(t, "room.svc.create", body), room.CodeTooLarge)

	// A room and members within their bounds can make an event over the server's max payload. An
	// app's additions are then dropped, and a client's request is refused.
	b.Register(t, room.Manifest{ID: "crowd", Implements: []room.Interface{room.PreRoomCreateExtend}})
	b.Answer(t, room.PreRoomCreateExtend, "crowd", func(msg *nats.Msg) {
		x := room.Verdict{Verdict: room.Allow, Extend: &room.Extension{Members: largeUsers("big", 600<<10)}}
		data, _ := json.Marshal(x)
		_ = msg.Respond(data)
	})
	r := harness.NewRoom("r")
	r.Members = largeUsers("m", 600<<10)
	_, err := b.Client.Create(t.Context(), r)
	require.NoError(t, err, "an optional app cannot make the creation too large")

	r.Members = largeUsers("m", 1000<<10)
	r.Room.ID = "s"
	_, err = b.Client.Create(t.Context(), r)
	assert.Equal(t, room.CodeTooLarge, scene.ErrorOf(t, err).Code)
	r.Members = largeUsers("m", 2<<20)
	_, err = b.Client.Create(t.Context(), r)
	assert.Equal(t, room.CodeTooLarge, scene.ErrorOf(t, err).Code, "what the client cannot send")
	events := b.Decoded(t)
	require.Len(t, events, 1)
	assert.Equal(t, room.Failed, events[0].Data.Apps[0].Outcome)
	assert.Contains(t, events[0].Data.Apps[0].Reason, "the event would be too large")
}

func TestOverloaded(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{MaxInFlight: 4})
	b.Create(t, "busy")
	b.Create(t, "idle")
	asked := make(chan *nats.Msg, 10)
	b.Register(t, room.Manifest{ID: "slow", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(5000)})
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) { asked <- msg })

	join := func(roomID, user string) <-chan *nats.Msg {
		inbox := make(chan *nats.Msg, 1)
		reply := nats.NewInbox()
		sub, err := b.NC.ChanSubscribe(reply, inbox)
		require.NoError(t, err)
		t.Cleanup(func() { _ = sub.Unsubscribe() })
		require.NoError(t, b.NC.PublishRequest("room.svc.join", reply, []byte(`{"roomId":"`+roomID+`","user":{"id":"`+user+`"}}`)))
		return inbox
	}
	first := join("busy", "a")
	held := <-asked
	// One room may use a quarter of the four requests in progress: its second command is refused at
	// once.
	scene.Refused(t, <-join("busy", "b"), room.CodeOverloaded)
	// Another room is not affected.
	second := join("idle", "a")
	heldToo := <-asked
	_ = held.Respond([]byte(`{"verdict":"allow"}`))
	_ = heldToo.Respond([]byte(`{"verdict":"allow"}`))
	for _, done := range []<-chan *nats.Msg{first, second} {
		assert.Contains(t, string((<-done).Data), `"changed":true`)
	}

	// Four requests in progress are the limit.
	for _, id := range []string{"r1", "r2", "r3", "r4"} {
		b.Create(t, id)
	}
	var waiting []<-chan *nats.Msg
	for _, id := range []string{"r1", "r2", "r3", "r4"} {
		waiting = append(waiting, join(id, "a"))
		msg := <-asked
		defer func() { _ = msg.Respond([]byte(`{"verdict":"allow"}`)) }()
	}
	scene.Refused(t, b.Request(t, "room.svc.get", `{"roomId":"r1"}`), room.CodeOverloaded)
	assert.Len(t, waiting, 4)
}

func TestDeadlineExceeded(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	asked := make(chan *nats.Msg, 10)
	b.Register(t, room.Manifest{ID: "slow", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(10_000)})
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) { asked <- msg })
	first := make(chan error, 1)
	go func() {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
		first <- err
	}()
	held := <-asked
	// The second command waits for the first in the room's queue, until its timeout.
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"b"}}`, "Room-Timeout-Ms", "50"), room.CodeDeadlineExceeded)
	_ = held.Respond([]byte(`{"verdict":"allow"}`))
	require.NoError(t, <-first)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{CommitPatience: 300 * time.Millisecond, AckWait: 200 * time.Millisecond})
	b.Create(t, "r")
	require.NoError(t, b.JS.DeleteStream(t.Context(), subjects.Events))
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`), room.CodeUnavailable)
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"owner"}}`), room.CodeUnavailable)
	scene.Refused(t, b.Request(t, "room.svc.leave", `{"roomId":"none","user":{"id":"owner"}}`), room.CodeUnavailable)
}

// If other replicas keep changing the room, the command gives up after so many tries with a
// conflict.
func TestConflict(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{MaxConflicts: 3})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "mover", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(room.MaxTimeoutMs)})
	asked := 0
	b.Answer(t, room.PreRoomUserJoined, "mover", func(msg *nats.Msg) {
		asked++
		var d room.Data
		_ = json.Unmarshal(msg.Data, &d)
		scene.MoveRoom(t, b, d.Room, asked)
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`), room.CodeConflict)
	// A try whose commit JetStream did not acknowledge in time is no conflict, so there may be more than four.
	assert.GreaterOrEqual(t, asked, 4, "each try asks the apps about the current room")
	assert.Len(t, b.Members(t, "r"), asked+1, "each try has moved the room, and the user is no member")
	assert.NotContains(t, b.Members(t, "r"), "u")
}

func TestStart_InvalidConfigIsRefused(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	nc := harness.Connect(t, server)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: subjects.Events, Subjects: []string{subjects.AllEvents}, MaxAge: time.Hour, AllowDirect: true, Duplicates: 2 * time.Minute,
	})
	require.NoError(t, err)
	_, err = roomsvc.Start(t.Context(), nc, roomsvc.Config{})
	var differs *bus.StreamDiffersError
	require.ErrorAs(t, err, &differs)
	assert.Equal(t, subjects.Events, differs.Stream)
	said := strings.Join(differs.Differences, "\n")
	for _, d := range []string{"max_age is 1h0m0s, must be 0s", "allow_direct is true", "deny_delete is false", "discard is"} {
		assert.Contains(t, said, d)
	}
	_, err = roomsvc.Start(context.Background(), nc, roomsvc.Config{Replicas: -1, Budget: -1})
	require.ErrorContains(t, err, "Replicas")
	require.ErrorContains(t, err, "Budget", "every mistake is named at once")
	_, err = roomsvc.Start(t.Context(), nc, roomsvc.Config{Replicas: 3, GroupCommits: true})
	require.ErrorContains(t, err, "GroupCommits is for streams without copies")
}
