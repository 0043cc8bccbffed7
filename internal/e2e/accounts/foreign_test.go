package accounts_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// An app cannot answer for another one, even if it knows the reply subject of the pre-event. In its own inbox its
// verdict is ignored, logged and counted; it cannot publish to the inbox of the other app.
func TestVerdict_FromAnotherAppsAccount(t *testing.T) {
	t.Parallel()
	a := harness.NewAccounts(t, roomsvc.Config{}, "guard", "evil")
	guard, evil := a.Connect(t, "guard"), a.Connect(t, "evil")
	register(t, evil, `{"id":"evil","version":"1.0.0","implements":["PostRoomCreate"],"essentials":[]}`)
	register(t, guard, `{"id":"guard","version":"1.0.0","implements":["PreRoomUserJoined"],"essentials":["PreRoomUserJoined"]}`)
	_, err := guard.QueueSubscribe("room.pre.userjoin.guard", "guard", func(msg *nats.Msg) {
		for _, subject := range []string{msg.Reply, strings.Replace(msg.Reply, "guard", "evil", 1)} {
			assert.NoError(t, evil.Publish(subject, []byte(scene.Allows)))
		}
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
	a.Log.Await(t, "verdict of another app ignored.*app=guard.*by=evil")
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
