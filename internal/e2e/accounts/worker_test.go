package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/dead"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// work runs a worker in the account of its app.
func work(t *testing.T, a *harness.Accounts, m room.Manifest, handlers any) {
	t.Helper()
	a.WorkWith(t, appworker.Config{Conn: a.Connect(t, m.ID), JSDomain: harness.JSDomain}, m, handlers)
}

// Workers of the Go SDK decide, extend, handle events in order, retry, and store dead letters, which can be
// replayed.
func TestWorker_InItsOwnAccount(t *testing.T) {
	t.Parallel()
	a := harness.NewAccounts(t, roomsvc.Config{}, "guard")
	m := room.Manifest{ID: "guard", Version: "1.0.0", MaxAttempts: new(2), Essentials: []room.Interface{room.PreRoomUserJoined}}
	saw := scene.NewSeen[string]()
	handlers := appworker.Handlers{
		PreRoomCreateExtend: func(context.Context, room.Create) (room.Extension, error) {
			return room.Extension{CustomFields: map[string]any{"guarded": true}}, nil
		},
		PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
			if e.JoiningUser.ID == "mallory" {
				return room.UserNotAllowed("banned")
			}
			return nil
		},
		PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			saw.See(fmt.Sprint(e.JoiningUser.ID, " ", appworker.Attempt(ctx)))
			if e.JoiningUser.ID == "poison" && appworker.Attempt(ctx) <= 2 {
				return appworker.RetryLater(time.Millisecond, errors.New("bad news"))
			}
			return nil
		},
	}
	for range 2 {
		work(t, a, m, handlers)
	}
	created := a.Create(t, "r")
	assert.Equal(t, true, created.Room.CustomFields["guarded"])
	_, err := scene.Join(t, a.Bus, "mallory")
	assert.Equal(t, "banned", scene.ErrorOf(t, err).Reason)
	scene.JoinEach(t, a.Bus, "r", "poison", "a", "b", "c", "d")
	for _, want := range []string{"poison 1", "poison 2", "a 1", "b 1", "c 1", "d 1"} {
		assert.Equal(t, want, saw.One(t))
	}
	a.RequireDrained(t, "guard")

	scene.DeadLetters(t, a.Bus, 1)
	letters, err := dead.Letters(t.Context(), a.JS)
	require.NoError(t, err)
	for letter, err := range letters.Read(t.Context(), dead.Filter{App: "guard"}) {
		require.NoError(t, err)
		require.NoError(t, letters.Replay(t.Context(), letter))
	}
	assert.Equal(t, "poison 1", saw.One(t))

	apps, err := operators(a).Apps(t.Context())
	require.NoError(t, err)
	assert.Len(t, apps[0].State.Workers, 2)
	app, err := operators(a).App(t.Context(), "guard")
	require.NoError(t, err)
	assert.Len(t, app.State.Workers, 2)
	assert.NotZero(t, app.State.Post[room.PostRoomUserJoined].Handled)
}

// operators is a client in the account of the room service.
func operators(a *harness.Accounts) *roomclient.Client {
	return roomclient.New(a.NC, roomclient.Config{})
}

// A plain NATS client in the account of an app is a worker. It registers, decides and receives post-events, also
// after a rollback.
func TestPlainWorker_InItsOwnAccount(t *testing.T) {
	t.Parallel()
	a := harness.NewAccounts(t, roomsvc.Config{}, "plain")
	nc := a.Connect(t, "plain")
	_, err := nc.QueueSubscribe("room.pre.userjoin.plain", "plain", func(msg *nats.Msg) { _ = msg.Respond([]byte(scene.Denies)) })
	require.NoError(t, err)
	register(t, nc, `{"id":"plain","version":"1.0.0","implements":["PreRoomUserJoined","PostRoomCreate"],"essentials":[]}`)
	register(t, nc, `{"id":"plain","version":"2.0.0","implements":["PostRoomCreate"],"essentials":[]}`)
	_, err = operators(a).RollbackApp(t.Context(), "plain", "1.0.0")
	require.NoError(t, err)
	a.Create(t, "r")
	_, err = scene.Join(t, a.Bus, "alice")
	assert.Equal(t, "banned", scene.ErrorOf(t, err).Reason)

	js, err := jetstream.NewWithDomain(nc, harness.JSDomain)
	require.NoError(t, err)
	consumer, err := js.Consumer(t.Context(), subjects.Events, "plain")
	require.NoError(t, err)
	event, err := consumer.Next()
	require.NoError(t, err)
	assert.Equal(t, "room.post.create.r", event.Subject())
	require.NoError(t, event.DoubleAck(t.Context()))
	a.RequireDrained(t, "plain")
}

// register registers an app as a client without the SDK does.
func register(t *testing.T, nc *nats.Conn, manifest string) {
	t.Helper()
	reply, err := nc.Request("room.app.register", []byte(manifest), harness.ReplyTime)
	require.NoError(t, err)
	require.Empty(t, reply.Header.Get("Nats-Service-Error"))
}
