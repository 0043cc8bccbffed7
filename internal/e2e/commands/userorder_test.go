package commands_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// holding returns a bus with a room r and an app that is asked about every change and answers when
// the test lets it.
func holding(t *testing.T) (*harness.Bus, <-chan *nats.Msg) {
	t.Helper()
	b := scene.Patient(t, roomsvc.Config{})
	b.Create(t, "r")
	asked := make(chan *nats.Msg, 10)
	all := []room.Interface{room.PreRoomCreatePrevent, room.PreRoomDeletePrevent, room.PreRoomUserJoined, room.PreRoomUserLeave}
	b.Register(t, room.Manifest{ID: "slow", Implements: all, TimeoutMs: new(room.MaxTimeoutMs)})
	for _, i := range all {
		b.Answer(t, i, "slow", func(msg *nats.Msg) { asked <- msg })
	}
	return b, asked
}

func TestUserOrder_LeaveWaitsForTheJoinBeforeIt(t *testing.T) {
	t.Parallel()
	b, asked := holding(t)
	join := b.Send(t, "room.svc.join", `{"roomId":"r","user":{"id":"ann"}}`)
	held := <-asked
	leave := b.Send(t, "room.svc.leave", `{"roomId":"r","user":{"id":"ann"}}`)
	// A command that changes nothing for others does not wait. Its answer also shows that the leave
	// has arrived.
	other := b.Request(t, "room.svc.leave", `{"roomId":"r","user":{"id":"bob"}}`)
	assert.Contains(t, string(other.Data), `"changed":false`)
	assert.Empty(t, leave)
	scene.Allow(held)
	assert.Contains(t, string((<-join).Data), `"changed":true`)
	scene.Allow(<-asked)
	assert.Contains(t, string((<-leave).Data), `"changed":true`)
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
}

func TestUserOrder_JoinWaitsForTheLeaveBeforeIt(t *testing.T) {
	t.Parallel()
	b, asked := holding(t)
	leave := b.Send(t, "room.svc.leave", `{"roomId":"r","user":{"id":"owner"}}`)
	held := <-asked
	join := b.Send(t, "room.svc.join", `{"roomId":"r","user":{"id":"owner"}}`)
	other := b.Request(t, "room.svc.leave", `{"roomId":"r","user":{"id":"bob"}}`)
	assert.Contains(t, string(other.Data), `"changed":false`)
	assert.Empty(t, join)
	scene.Allow(held)
	assert.Contains(t, string((<-leave).Data), `"changed":true`)
	scene.Allow(<-asked)
	assert.Contains(t, string((<-join).Data), `"changed":true`)
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
}

func TestUserOrder_CreatorsJoinWaitsForTheCreation(t *testing.T) {
	t.Parallel()
	b, asked := holding(t)
	create := b.Send(t, "room.svc.create", `{"room":{"id":"n","slugifiedName":"n","type":"channel"},"creator":{"id":"ann"}}`)
	held := <-asked
	join := b.Send(t, "room.svc.join", `{"roomId":"n","user":{"id":"ann"}}`)
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"n","user":{"id":"bob"}}`), room.CodeRoomNotFound)
	assert.Empty(t, join)
	scene.Allow(held)
	assert.Contains(t, string((<-create).Data), `"changed":true`)
	assert.Contains(t, string((<-join).Data), `"changed":false`, "the creator is a member")
}

// The join is refused, so the leave behind it changes nothing.
func TestUserOrder_LeaveBehindARefusedJoinChangesNothing(t *testing.T) {
	t.Parallel()
	b, asked := holding(t)
	join := b.Send(t, "room.svc.join", `{"roomId":"r","user":{"id":"ann"}}`)
	held := <-asked
	leave := b.Send(t, "room.svc.leave", `{"roomId":"r","user":{"id":"ann"}}`)
	b.Request(t, "room.svc.leave", `{"roomId":"r","user":{"id":"bob"}}`)
	_ = held.Respond([]byte(scene.Denies))
	scene.Refused(t, <-join, room.CodeUserNotAllowed)
	assert.Contains(t, string((<-leave).Data), `"changed":false`)
}

// A client may send a command before the answer to the previous one. Both take effect, in the order
// in which they were sent.
func TestUserOrder_CommandsSentWithoutWaitingKeepTheirOrder(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	b.Create(t, "r")
	inbox := b.NC.NewInbox()
	replies := make(chan *nats.Msg, 1000)
	sub, err := b.NC.ChanSubscribe(inbox, replies)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	const users = 40
	for n := range users {
		body := fmt.Appendf(nil, `{"roomId":"r","user":{"id":"u%d"}}`, n)
		for _, command := range []string{"join", "leave", "join", "leave"} {
			require.NoError(t, b.NC.PublishRequest("room.svc."+command, inbox, body))
		}
	}
	for range 4 * users {
		assert.Contains(t, string((<-replies).Data), `"changed":true`)
	}
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
}
