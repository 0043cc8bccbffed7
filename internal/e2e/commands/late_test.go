package commands_test

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// requireJoined lets bob join room r after the commands in flight, and requires that the room has
// only these members.
func requireJoined(t *testing.T, b *harness.Bus, c *roomclient.Client, members ...string) {
	t.Helper()
	require.NoError(t, scene.JoinWithin(t, c, "bob", time.Minute))
	assert.Equal(t, append([]string{"bob"}, members...), b.Members(t, "r"))
}

func TestClient_JoinRefusedWhileDisconnectedNeverTakesEffect(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	p := harness.NewProxy(t, strings.TrimPrefix(b.Server.URL(), "nats://"))
	nc, err := nats.Connect(p.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond)) // it has a reconnect buffer
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	client := roomclient.New(nc, roomclient.Config{})
	p.Close()
	require.Eventually(t, nc.IsReconnecting, harness.ReplyTime, time.Millisecond)

	err = scene.JoinWithin(t, client, "alice", 300*time.Millisecond)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "the connection to NATS is down")
	buffered, err := nc.Buffered()
	require.NoError(t, err)
	assert.Zero(t, buffered, "buffered bytes that would be sent after the reconnect")
	p.Open()
	requireJoined(t, b, client, "owner")
}

func TestClient_WaitsForConnectionAndThenSends(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	p := harness.NewProxy(t, strings.TrimPrefix(b.Server.URL(), "nats://"))
	nc := harness.ConnectTo(t, p.URL())
	client := roomclient.New(nc, roomclient.Config{})
	p.Close()
	require.Eventually(t, nc.IsReconnecting, harness.ReplyTime, time.Millisecond)
	joined := make(chan error, 1)
	go func() { joined <- scene.JoinWithin(t, client, "alice", time.Minute) }()
	p.Open()
	require.NoError(t, <-joined)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))
}

func TestService_HeldRequestIsRefusedAfterItsDeadline(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	p := harness.NewProxy(t, strings.TrimPrefix(b.Server.URL(), "nats://"))
	nc := harness.ConnectTo(t, p.URL())
	client := roomclient.New(nc, roomclient.Config{})
	p.Hold()
	require.ErrorIs(t, scene.JoinWithin(t, client, "alice", 200*time.Millisecond), &room.Error{Code: room.CodeUnavailable})

	inbox := nc.NewInbox()
	replies, err := nc.SubscribeSync(inbox)
	require.NoError(t, err)
	deadline := time.Now().Add(100 * time.Millisecond)
	require.NoError(t, nc.PublishMsg(&nats.Msg{
		Subject: "room.svc.join", Reply: inbox, Data: []byte(`{"roomId":"r","user":{"id":"carol"}}`),
		Header: nats.Header{"Room-Deadline": {deadline.UTC().Format(time.RFC3339Nano)}},
	}))
	<-time.After(time.Until(deadline) + 10*time.Millisecond)
	p.Release()
	reply, err := replies.NextMsg(time.Minute)
	require.NoError(t, err)
	assert.Equal(t, "504", reply.Header.Get("Nats-Service-Error-Code"))
	assert.Contains(t, string(reply.Data), `"code":"deadline_exceeded"`)
	clock, err := time.Parse(time.RFC3339Nano, reply.Header.Get("Room-Clock"))
	require.NoError(t, err)
	assert.WithinRange(t, clock, deadline, time.Now())
	requireJoined(t, b, client, "owner")
}

func TestService_StoppedProcessDoesNotDoRequestAfterItsDeadline(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	b := harness.BusOn(t, server)
	service := harness.Start(t, harness.Binary(t), "serve", "--nats", server.URL())
	service.Stderr.Await(t, `msg=serving`)
	b.Create(t, "r")
	service.Stop()
	err := scene.JoinWithin(t, b.Client, "alice", 500*time.Millisecond)
	service.Signal(syscall.SIGCONT)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	requireJoined(t, b, b.Client, "owner")
}

// A process that is stopped while an app decides continues after the command's deadline.
func TestService_DecidedCommandIsNotCommittedAfterItsDeadline(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	b := harness.BusOn(t, server)
	service := harness.Start(t, harness.Binary(t), "serve", "--nats", server.URL())
	service.Stderr.Await(t, `msg=serving`)
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: []room.Interface{room.PreRoomUserJoined}})
	asked := make(chan *nats.Msg, 10)
	b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) { asked <- msg })
	failed := make(chan error, 1)
	go func() { failed <- scene.JoinWithin(t, b.Client, "alice", 2*time.Second) }()
	question := <-asked
	service.Stop()
	require.NoError(t, question.Respond([]byte(`{"verdict":"allow"}`)))
	err := <-failed
	service.Signal(syscall.SIGCONT)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	go func() {
		for msg := range asked {
			_ = msg.Respond([]byte(`{"verdict":"allow"}`))
		}
	}()
	t.Cleanup(func() { close(asked) })
	requireJoined(t, b, b.Client, "owner")
}

func TestService_DeadlineHeaders(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	in := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339Nano) }
	for name, c := range map[string]struct{ subject, deadline, code string }{
		"ahead":             {"room.svc.get", in(time.Hour), ""},
		"in another zone":   {"room.svc.get", time.Now().Add(time.Hour).In(time.FixedZone("", 5*3600)).Format(time.RFC3339Nano), ""},
		"without fractions": {"room.svc.get", time.Now().UTC().Add(time.Hour).Format(time.RFC3339), ""},
		"passed":            {"room.svc.get", in(-time.Millisecond), "deadline_exceeded"},
		"passed long ago":   {"room.svc.delete", in(-time.Hour), "deadline_exceeded"},
		"of an app":         {"room.app.info", in(-time.Second), "deadline_exceeded"},
		"not a time":        {"room.svc.delete", "soon", "invalid_request"},
		"a number":          {"room.svc.delete", "1700000000", "invalid_request"},
		"empty":             {"room.svc.get", "", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reply, err := b.NC.RequestMsg(&nats.Msg{
				Subject: c.subject, Data: []byte(`{"roomId":"r"}`), Header: nats.Header{"Room-Deadline": {c.deadline}},
			}, time.Minute)
			require.NoError(t, err)
			var e room.Error
			require.NoError(t, json.Unmarshal(reply.Data, &e))
			assert.Equal(t, room.Code(c.code), e.Code, e.Message)
			assert.Equal(t, c.code == "deadline_exceeded", reply.Header.Get("Room-Clock") != "")
		})
	}
}
