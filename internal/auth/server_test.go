package auth_test

import (
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/auth"
	"github.com/roombus/roombus/subjects"
)

// secured starts a server on the accounts of the folder.
func secured(t *testing.T, f *auth.Folder) *embedded.Server {
	t.Helper()
	operator, err := f.Operator()
	require.NoError(t, err)
	s, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Operator: operator})
	require.NoError(t, err)
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t *testing.T, s *embedded.Server, creds string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.URL(), append(opts, nats.UserCredentials(creds))...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func push(t *testing.T, f *auth.Folder, sys *nats.Conn, name string) {
	t.Helper()
	pushed, err := f.Push(t.Context(), sys, entry(t, f, name))
	require.NoError(t, err)
	require.Equal(t, []string{name}, pushed)
}

func TestServer_AppHasItsRightsAndNoOthers(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	s := secured(t, f)
	_, err := nats.Connect(s.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization, "anonymous")

	sys, rooms := connect(t, s, f.Creds(auth.System)), connect(t, s, f.Creds(auth.Rooms))
	set(t, f, app("guard", "join"))
	push(t, f, sys, "guard")
	all, err := f.Entries()
	require.NoError(t, err)
	pushed, err := f.Push(t.Context(), sys, all...)
	require.NoError(t, err)
	assert.Empty(t, pushed, "the server has them all")

	guard := connect(t, s, f.Creds("guard"))
	answer := func(nc *nats.Conn, subject string) {
		_, err := nc.Subscribe(subject, func(msg *nats.Msg) { _ = msg.Respond([]byte(msg.Subject)) })
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
	}
	asks := func(nc *nats.Conn, subject string) (string, error) {
		reply, err := nc.Request(subject, nil, 2*time.Second)
		if err != nil {
			return "", err
		}
		return string(reply.Data), nil
	}
	answer(rooms, "room.svc.*")
	answer(rooms, "room.app.>")
	for request, served := range map[string]string{"room.svc.join": "room.svc.join", "room.app.register": "room.app.register.guard"} {
		got, err := asks(guard, request)
		require.NoError(t, err, request)
		assert.Equal(t, served, got)
	}
	for _, request := range []string{"room.svc.create", "room.app.remove", "room.app.register.other"} {
		_, err := asks(guard, request)
		assert.ErrorIs(t, err, nats.ErrNoResponders, request)
	}

	answer(guard, "room.pre.userjoin.*")
	for app, want := range map[string]error{"guard": nil, "other": nats.ErrNoResponders} {
		inbox := subjects.VerdictInboxOf(app) + ".1"
		sub, err := rooms.SubscribeSync(inbox)
		require.NoError(t, err)
		require.NoError(t, rooms.PublishRequest("room.pre.userjoin."+app, inbox, nil))
		msg, err := sub.NextMsg(2 * time.Second)
		require.ErrorIs(t, err, want)
		if want == nil {
			assert.Contains(t, msg.Header.Get("Nats-Request-Info"), entry(t, f, "guard").Key)
		}
	}
}

func TestServer_OperatorReadsAStream(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	s := secured(t, f)
	js, err := jetstream.New(connect(t, s, f.Creds(auth.Rooms)))
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ROOM_EVENTS", Subjects: []string{"room.post.>"}})
	require.NoError(t, err)
	_, err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "ROOM_APPS"})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "room.post.create.lobby", []byte("{}"))
	require.NoError(t, err)

	there, err := jetstream.NewWithDomain(connect(t, s, f.Creds(auth.Operators)), auth.Domain)
	require.NoError(t, err)
	consumer, err := there.OrderedConsumer(t.Context(), "ROOM_EVENTS", jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	msg, err := consumer.Next()
	require.NoError(t, err)
	assert.Equal(t, "room.post.create.lobby", msg.Subject())
	stream, err := there.Stream(t.Context(), "ROOM_EVENTS")
	require.NoError(t, err)
	_, err = stream.GetLastMsgForSubject(t.Context(), "room.post.*.lobby")
	require.NoError(t, err)
	kv, err := there.KeyValue(t.Context(), "ROOM_APPS")
	require.NoError(t, err)
	_, err = kv.Get(t.Context(), "guard")
	require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
	assert.Error(t, there.DeleteStream(t.Context(), "ROOM_EVENTS"))
}

func TestServer_RevokedAndOldCredentialsAreCutOff(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	s := secured(t, f)
	sys := connect(t, s, f.Creds(auth.System))
	connected := func() (closed <-chan struct{}) {
		ended := make(chan struct{})
		connect(t, s, f.Creds("guard"), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(ended) }))
		return ended
	}
	cutOff := func(closed <-chan struct{}) {
		select {
		case <-closed:
		case <-time.After(5 * time.Second):
			t.Error("the connection is still there")
		}
	}
	closed := connected()
	require.NoError(t, f.Rotate("guard", time.Now()))
	push(t, f, sys, "guard")
	cutOff(closed)
	closed = connected()
	old := f.Creds("guard") + ".old"
	copyFile(t, f.Creds("guard"), old)
	_, err := f.Revoke("guard", time.Now())
	require.NoError(t, err)
	push(t, f, sys, "guard")
	cutOff(closed)
	_, err = nats.Connect(s.URL(), nats.UserCredentials(old))
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o600))
}
