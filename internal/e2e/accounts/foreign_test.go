package accounts_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// A verdict from the account of another app is ignored, logged and counted, even if it comes to the inbox of
// the pre-event with a forged account. The verdict of the app counts.
func TestVerdict_FromAnotherAppsAccount(t *testing.T) {
	t.Parallel()
	a := harness.NewAccounts(t, roomsvc.Config{}, "guard", "evil")
	guard, evil := a.Connect(t, "guard"), a.Connect(t, "evil")
	register(t, evil, `{"id":"evil","version":"1.0.0","implements":["PostRoomCreate"],"essentials":[]}`)
	register(t, guard, `{"id":"guard","version":"1.0.0","implements":["PreRoomUserJoined"],"essentials":["PreRoomUserJoined"]}`)
	_, err := guard.QueueSubscribe("room.pre.userjoin.guard", "guard", func(msg *nats.Msg) {
		forged := &nats.Msg{Subject: msg.Reply, Header: nats.Header{"Nats-Request-Info": {`{"acc":"` + a.ID("guard") + `"}`}}, Data: []byte(scene.Allows)}
		assert.NoError(t, evil.PublishMsg(forged)) // as if the inbox had leaked
		assert.NoError(t, evil.Flush())
		assert.NoError(t, msg.Respond([]byte(scene.Denies)))
	})
	require.NoError(t, err)
	require.NoError(t, guard.Flush())
	a.Create(t, "r")
	for range 2 {
		_, err = scene.Join(t, a.Bus, "mallory")
		assert.Equal(t, room.CodeUserNotAllowed, scene.ErrorOf(t, err).Code)
	}
	a.Log.Await(t, "verdict from another account ignored.*app=guard.*account="+a.ID("evil"))
	assert.EqualValues(t, 2, a.EndpointData(t).ForeignVerdicts)
}

// The account of an app can register its own app only.
func TestRegistration_OfAnotherAppIsRefused(t *testing.T) {
	t.Parallel()
	a := harness.NewAccounts(t, roomsvc.Config{}, "guard", "evil")
	evil := a.Connect(t, "evil")
	const guard = `{"id":"guard","version":"9.0.0","implements":["PreRoomUserJoined"],"essentials":[]}`
	for subject, body := range map[string]string{"room.app.register": guard, "room.app.info": `{"id":"guard"}`} {
		reply, err := evil.Request(subject, []byte(body), harness.ReplyTime)
		require.NoError(t, err)
		scene.Refused(t, reply, room.CodeInvalidRequest)
	}
	for _, subject := range []string{"room.app.register.guard", "room.app.info.guard", "room.app.disable"} {
		_, err := evil.Request(subject, []byte(guard), harness.ReplyTime)
		require.ErrorIs(t, err, nats.ErrNoResponders, subject)
	}
}
