package fault_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// sized returns a creation whose request takes so many bytes.
func sized(t *testing.T, id string, size int) []byte {
	t.Helper()
	r := harness.NewRoom(id)
	const each = 100 << 10
	for n := range size / each {
		r.Members = append(r.Members, room.User{ID: fmt.Sprint("m", n), Name: strings.Repeat("n", each-100)})
	}
	r.Members = append(r.Members, room.User{ID: "m", Name: "-"})
	body, err := json.Marshal(r)
	require.NoError(t, err)
	r.Members[len(r.Members)-1].Name = strings.Repeat("n", size-len(body)+1)
	body, err = json.Marshal(r)
	require.NoError(t, err)
	require.Len(t, body, size)
	return body
}

// Requests at the limit of a message and at the limit of an event get the right answers, and no
// connection is lost.
func TestLargestRequests(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	most := int(b.NC.MaxPayload())
	const eventMost = 1<<20 - 64<<10
	stop := joiningOn(t, b)
	nc := harness.Connect(t, b.Server)
	for name, c := range map[string]struct {
		size int
		code room.Code
	}{
		"an event well within its bound": {eventMost - 1024, ""},
		"an event over its bound":        {eventMost + 1, room.CodeTooLarge},
		"a message one byte under":       {most - 1, room.CodeTooLarge},
		"the largest message":            {most, room.CodeTooLarge},
	} {
		id := strings.ReplaceAll(name, " ", "-")
		reply, err := nc.Request(subjects.Room(subjects.Create), sized(t, id, c.size), waiting)
		require.NoError(t, err, name)
		var e room.Error
		require.NoError(t, json.Unmarshal(reply.Data, &e))
		assert.Equal(t, c.code, e.Code, name)
	}
	_, err := nc.Request(subjects.Room(subjects.Create), sized(t, "over", most+1), waiting)
	require.ErrorIs(t, err, nats.ErrMaxPayload)
	msg := nats.NewMsg(subjects.Room(subjects.Create))
	msg.Header.Set(subjects.CommandID, "with-headers")
	msg.Data = sized(t, "headers", most)
	_, err = nc.RequestMsg(msg, waiting)
	require.ErrorIs(t, err, nats.ErrMaxPayload, "headers count")

	// A client that sends a larger message loses its own connection.
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.Server.URL(), "nats://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "CONNECT {\"verbose\":false}\r\nPUB %s %d\r\n", subjects.Room(subjects.Create), most+1)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(waiting)))
	said, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(said), "Maximum Payload Violation")

	assert.NotEmpty(t, stop())
	assert.Zero(t, nc.Stats().Reconnects)
	assert.Zero(t, b.NC.Stats().Reconnects)
	_, err = b.Client.Get(t.Context(), "an-event-well-within-its-bound")
	require.NoError(t, err)
}

// joiningOn lets users join until it is stopped. Every join must succeed.
func joiningOn(t *testing.T, b *harness.Bus) (stop func() []string) {
	t.Helper()
	b.Create(t, "r")
	ended := make(chan struct{})
	joined := make(chan []string, 1)
	go func() {
		var users []string
		for n := 0; ; n++ {
			select {
			case <-ended:
				joined <- users
				return
			default:
			}
			user := fmt.Sprint("u", n)
			_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: user}})
			assert.NoError(t, err)
			users = append(users, user)
		}
	}()
	return func() []string { close(ended); return <-joined }
}
