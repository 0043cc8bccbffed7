package commands_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

func TestPreEventOnTheWire(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r1")
	b.Register(t, room.Manifest{ID: "spy", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(700)})
	asked := make(chan *nats.Msg, 1)
	b.Answer(t, room.PreRoomUserJoined, "spy", func(msg *nats.Msg) {
		asked <- msg
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	b.Request(t, "room.svc.join", `{"roomId":"r1","user":{"id":"u","attributes":{"n":9007199254740993}},"inviter":{"id":"i"}}`,
		"Nats-Msg-Id", "cmd-1", "traceparent", trace)

	msg := <-asked
	assert.Equal(t, "room.pre.userjoin.spy", msg.Subject)
	h := msg.Header
	assert.Equal(t, "1.0", h.Get("ce-specversion"))
	assert.Equal(t, "cmd-1", h.Get("ce-id"))
	assert.Equal(t, "room.pre.userjoin", h.Get("ce-type"))
	assert.NotEmpty(t, h.Get("ce-source"))
	assert.Equal(t, "r1", h.Get("ce-subject"))
	assert.Equal(t, "application/json", h.Get("ce-datacontenttype"))
	_, err := time.Parse(time.RFC3339Nano, h.Get("ce-time"))
	require.NoError(t, err)
	assert.Equal(t, trace, h.Get("traceparent"))
	assert.Equal(t, "700", h.Get("Room-Timeout-Ms"))
	assert.JSONEq(t, `{"id":"u","attributes":{"n":9007199254740993}}`, field(t, msg.Data, "joiningUser"))
	assert.JSONEq(t, `{"id":"i"}`, field(t, msg.Data, "inviter"))
	var keys map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(msg.Data, &keys))
	assert.Len(t, keys, 3, "room, joiningUser and inviter, and nothing else")
	assert.Contains(t, string(msg.Data), "9007199254740993")
}

func TestPostEventOnTheWire(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	created := b.Create(t, "r1")
	b.Request(t, "room.svc.join", `{"roomId":"r1","user":{"id":"u"}}`, "Nats-Msg-Id", "cmd-2")

	msg := b.Events(t)[1]
	h := msg.Header
	for key, want := range map[string]string{
		"Nats-Msg-Id":                                 "cmd-2",
		"Nats-Expected-Last-Subject-Sequence":         "1",
		"Nats-Expected-Last-Subject-Sequence-Subject": "room.post.*.r1",
		"ce-id":              "cmd-2",
		"ce-type":            "room.post.userjoin",
		"ce-subject":         "r1",
		"ce-specversion":     "1.0",
		"ce-roomversion":     "2",
		"ce-datacontenttype": "application/json",
	} {
		assert.Equal(t, want, h.Get(key), key)
	}
	assert.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`, h.Get("traceparent"), "a trace of its own")
	assert.Equal(t, uint64(1), created.Event.Seq)
	assert.Equal(t, "0", b.Events(t)[0].Header.Get("Nats-Expected-Last-Subject-Sequence"))
}

func field(t *testing.T, data []byte, key string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &fields))
	return string(fields[key])
}

// A caller may name any subject as its reply. The service publishes only to inboxes.
func TestReply_OnlyToInboxes(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{ReplyPrefixes: []string{"_APP"}})
	b.Create(t, "r1")
	caught, err := b.NC.SubscribeSync("room.post.>")
	require.NoError(t, err)
	own, err := b.NC.SubscribeSync("_APP.x")
	require.NoError(t, err)
	for _, reply := range []string{"room.post.userjoin.r1", "elsewhere", "INBOX.1", "_APPX.y", "$JS.API.STREAM.PURGE.ROOM_EVENTS"} {
		require.NoError(t, b.NC.PublishRequest("room.svc.get", reply, []byte(`{"roomId":"r1"}`)))
		require.NoError(t, b.NC.PublishRequest("room.svc.join", reply, []byte(`{"roomId":"r1","user":{"id":"evil"}}`)))
	}
	// It does not reply to the protocol's own subjects either.
	for _, subject := range []string{"$SRV.PING", "$SRV.PING.rooms", "$SRV.INFO.rooms", "$SRV.STATS.rooms"} {
		require.NoError(t, b.NC.PublishRequest(subject, "room.post.create.r1", nil))
	}
	require.NoError(t, b.NC.PublishRequest("room.svc.get", "_APP.x", []byte(`{"roomId":"r1"}`)))
	answered, err := own.NextMsg(harness.ReplyTime)
	require.NoError(t, err, "a configured prefix is answered")
	assert.Contains(t, string(answered.Data), `"id":"r1"`)
	n, _, err := caught.Pending()
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.Len(t, b.Events(t), 1)
	assert.Equal(t, []string{"owner"}, b.Members(t, "r1"), "the command does not take effect")
}

func TestReply_CommandWithoutReplySubjectTakesEffect(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r1")
	joined, err := b.NC.SubscribeSync("room.post.userjoin.r1")
	require.NoError(t, err)
	require.NoError(t, b.NC.Publish("room.svc.join", []byte(`{"roomId":"r1","user":{"id":"u"}}`)))
	_, err = joined.NextMsg(harness.ReplyTime)
	require.NoError(t, err)
}

func TestService_SpeaksTheMicroProtocol(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r1")
	b.Request(t, "room.svc.join", `{"roomId":"nowhere","user":{"id":"u"}}`)
	info := string(b.Request(t, "$SRV.INFO.rooms", "").Data)
	for _, subject := range strings.Fields("room.svc.create room.svc.delete room.svc.join room.svc.leave room.svc.get room.svc.list room.svc.members room.app.register room.app.list room.app.info") {
		assert.Contains(t, info, `"`+subject+`"`)
	}
	assert.NotContains(t, info, "null")
	var stats struct {
		Endpoints []struct {
			micro.EndpointStats
			Data roomsvc.EndpointData `json:"data"`
		}
	}
	require.NoError(t, json.Unmarshal(b.Request(t, "$SRV.STATS.rooms", "").Data, &stats))
	for _, e := range stats.Endpoints {
		switch e.Name {
		case "create":
			assert.Equal(t, 1, e.NumRequests)
			assert.Positive(t, e.AverageProcessingTime)
		case "join":
			assert.Equal(t, 1, e.NumErrors)
			assert.Contains(t, e.LastError, "room_not_found")
			assert.Equal(t, map[room.Code]uint64{room.CodeRoomNotFound: 1}, e.Data.Errors)
		}
		assert.Equal(t, 1, e.Data.Rooms)
	}
}

func TestPagesFitAMessage(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		r := harness.NewRoom(id)
		r.Room.Description = strings.Repeat("x", 60<<10)
		_, err := b.Client.Create(t.Context(), r)
		require.NoError(t, err)
	}
	page, err := b.Client.List(t.Context(), room.ListRequest{Limit: 1000})
	require.NoError(t, err)
	assert.NotEmpty(t, page.Cursor, "twelve rooms of 60 KiB do not fit one page")
	var ids []string
	for r, err := range b.Client.AllRooms(t.Context(), room.ListRequest{}) {
		require.NoError(t, err)
		ids = append(ids, r.ID)
	}
	assert.Equal(t, strings.Split("abcdefghijkl", ""), ids)

	page, err = b.Client.List(t.Context(), room.ListRequest{Limit: 2, Cursor: "bb"})
	require.NoError(t, err)
	require.Len(t, page.Rooms, 2)
	assert.Equal(t, "c", page.Rooms[0].ID, "a cursor need not be a room")
	assert.Equal(t, "d", page.Cursor)
}
