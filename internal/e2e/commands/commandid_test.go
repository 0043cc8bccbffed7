package commands_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// One id means one command. The same id with another request is refused, by every replica, also
// after a restart. With the same request, even if its JSON is formatted differently, it gets the
// same answer.
func TestCommandID_MeansOneRequest(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	const (
		creation = `{"room":{"id":"id1","slugifiedName":"one","type":"channel","customFields":{"a":1,"b":[null]}},"creator":{"id":"ann"}}`
		join     = `{"roomId":"r","user":{"id":"u","name":"U"},"inviter":{"id":"owner"}}`
		deletion = `{"roomId":"id1","deletedBy":{"id":"ann"}}`
	)
	others := map[string][]string{
		"room.svc.create": {
			strings.Replace(creation, `"one"`, `"two"`, 1),
			strings.Replace(creation, `"channel"`, `"private_group"`, 1),
			strings.Replace(creation, `"ann"`, `"eve"`, 1),
			strings.Replace(creation, `[null]`, `[]`, 1),
			strings.Replace(creation, `"creator"`, `"members":[{"id":"bob"}],"creator"`, 1),
			strings.Replace(creation, `"id1"`, `"id2"`, 1),
		},
		"room.svc.join": {
			strings.Replace(join, `"U"`, `"V"`, 1), strings.Replace(join, `"owner"`, `"eve"`, 1),
			strings.Replace(join, `,"inviter":{"id":"owner"}`, ``, 1), strings.Replace(join, `"u"`, `"w"`, 1),
		},
		"room.svc.leave":  {`{"roomId":"r","user":{"id":"u","name":"U"}}`},
		"room.svc.delete": {`{"roomId":"id1"}`, `{"roomId":"id1","deletedBy":{"id":"eve"}}`},
	}
	ids := map[string]string{"room.svc.create": "k1", "room.svc.join": "k2", "room.svc.leave": "k2", "room.svc.delete": "k3"}
	first := map[string]string{}
	for _, c := range [][2]string{{"room.svc.create", creation}, {"room.svc.join", join}, {"room.svc.delete", deletion}} {
		first[c[0]] = string(b.Request(t, c[0], c[1], "Nats-Msg-Id", ids[c[0]]).Data)
		require.Contains(t, first[c[0]], `"changed":true`)
	}
	check := func() {
		for subject, bodies := range others {
			for _, body := range bodies {
				e := scene.Refused(t, b.Request(t, subject, body, "Nats-Msg-Id", ids[subject]), room.CodeInvalidRequest)
				assert.Contains(t, e.Message, "give every command an id of its own")
			}
		}
		again := `{"creator":{"id":"ann"}, "room":{"type":"channel","slugifiedName":"one","customFields":{"b":[null],"a":1},"id":"id1"}}`
		assert.Equal(t, first["room.svc.create"], string(b.Request(t, "room.svc.create", again, "Nats-Msg-Id", "k1").Data))
		assert.Equal(t, first["room.svc.join"], string(b.Request(t, "room.svc.join", join, "Nats-Msg-Id", "k2").Data))
		assert.Equal(t, first["room.svc.delete"], string(b.Request(t, "room.svc.delete", deletion, "Nats-Msg-Id", "k3").Data))
	}
	check()
	nc := harness.Connect(t, b.Server)
	require.NoError(t, b.Service.Stop(t.Context())) // writes a snapshot
	harness.Serve(t, nc, roomsvc.Config{})
	check()
	assert.Len(t, b.Events(t), 4)
}
