package state_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// At every moment of a room's history, the past state is the state that was returned then.
func TestHistory_PastStatesMatch(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	type moment struct {
		seq     uint64
		get     string
		members string
		lives   bool
	}
	var moments []moment
	took := func(r room.Result, err error) {
		require.NoError(t, err)
		m := moment{seq: r.Event.Seq}
		var status int
		status, m.get, _ = c.Run("room", "get", "r", "--json")
		if m.lives = status == 0; m.lives {
			m.members = c.OK("room", "members", "r", "--json")
		}
		moments = append(moments, m)
	}
	ada := room.User{ID: "ada", Name: "Ada", Roles: []string{"admin"}}
	for range 2 {
		took(b.Client.Create(t.Context(), harness.NewRoom("r")))
		b.Create(t, fmt.Sprintf("other-%d", len(moments)))
		took(b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: ada}))
		require.NoError(t, b.NC.Publish("room.post.userjoin.r", []byte(`{"room":{"id":"r"},"joiningUser":{"id":"evil"}}`)))
		took(b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob}))
		took(b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: ada}))
		took(b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "r"}))
	}
	times := make(map[uint64]time.Time)
	for _, msg := range b.Events(t) {
		times[msg.Sequence] = msg.Time
	}
	for _, m := range moments {
		seq, stored := strconv.FormatUint(m.seq, 10), times[m.seq].Format(time.RFC3339Nano)
		if !m.lives {
			assert.Contains(t, c.Fails(4, "room", "get", "r", "--at", stored), "room_not_found")
			c.Fails(4, "room", "members", "r", "--at", seq)
			continue
		}
		assert.Equal(t, m.get, c.OK("room", "get", "r", "--json", "--at", stored))
		assert.Equal(t, m.members, c.OK("room", "members", "r", "--json", "--at", seq))
	}
}

func TestCLIHistory_At(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	b.Create(t, "r")
	b.Create(t, "s")
	assert.Regexp(t, `(?m)^members +1$`, c.OK("room", "get", "r", "--at", "1"))
	assert.Regexp(t, `(?m)^USER .*\nowner`, c.OK("room", "members", "r", "--at", "0s"))
	assert.Regexp(t, `(?m)^owner`, c.OK("room", "members", "r", "--at", "2"), "an event of another room")
	for _, at := range []string{"1h", "2001-02-03T04:05:06Z"} {
		assert.Contains(t, c.Fails(4, "room", "get", "r", "--at", at), `there was no room "r" then`)
	}
	c.Fails(4, "room", "get", "s", "--at", "1")
	assert.Contains(t, c.Fails(2, "room", "get", "r", "--at", "3"), "is yet to come: the stream's last event is 2")
	for _, wrong := range []string{"0", "", "yesterday", "-1h", "2100-01-01T00:00:00Z"} {
		assert.Contains(t, c.Fails(2, "room", "get", "r", "--at", wrong), "--at")
	}
	c.Fails(2, "room", "members", "a.b", "--at", "1")
}
