package commands_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// The stream accepts no more events. The command that fails passes its error on to the commands
// that queue behind it in the room. No app is asked about them.
func TestQueuedCommands_EndWithTheCauseOfAFailedCommit(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{CommitPatience: 200 * time.Millisecond})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: []room.Interface{room.PreRoomUserJoined}})
	asked := make(chan *nats.Msg, 100)
	b.Answer(t, room.PreRoomUserJoined, "guard", func(msg *nats.Msg) { asked <- msg })
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.MaxBytes, cfg.Discard = 1, jetstream.DiscardNew
	_, err = b.JS.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)

	const behind = 5
	inbox := b.NC.NewInbox()
	replies, err := b.NC.SubscribeSync(inbox)
	require.NoError(t, err)
	join := func(user string) {
		body := []byte(`{"roomId":"r","user":{"id":"` + user + `"}}`)
		require.NoError(t, b.NC.PublishMsg(&nats.Msg{Subject: "room.svc.join", Reply: inbox, Data: body}))
	}
	join("first")
	question := <-asked
	for n := range behind {
		join(strconv.Itoa(n))
	}
	_, err = b.NC.Request("room.svc.get", []byte(`{"roomId":"r"}`), time.Minute) // all have arrived
	require.NoError(t, err)
	allow := func(msg *nats.Msg) { assert.NoError(t, msg.Respond([]byte(`{"verdict":"allow"}`))) }
	allow(question)
	var caused int
	for range behind + 1 {
		var reply *nats.Msg
		for reply == nil {
			select {
			case again := <-asked: // the first command's: it is retried for some time
				assert.Contains(t, string(again.Data), `"first"`)
				allow(again)
			default:
			}
			if reply, err = replies.NextMsg(10 * time.Millisecond); err != nil {
				require.ErrorIs(t, err, nats.ErrTimeout)
			}
		}
		var e room.Error
		require.NoError(t, json.Unmarshal(reply.Data, &e))
		assert.Equal(t, room.CodeUnavailable, e.Code)
		if strings.Contains(e.Message, `a command in front of it in room "r" failed`) {
			caused++
			assert.Contains(t, e.Message, "maximum bytes")
		}
	}
	assert.Equal(t, behind, caused)
	assert.Empty(t, asked)
}
