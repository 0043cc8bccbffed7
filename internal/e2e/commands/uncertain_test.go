package commands_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// throughProxy is a bus whose service reaches NATS through a proxy.
func throughProxy(t *testing.T) (*harness.Bus, *harness.Proxy) {
	t.Helper()
	b := harness.BusOn(t, harness.NewServer(t))
	p := harness.NewProxy(t, strings.TrimPrefix(b.Server.URL(), "nats://"))
	harness.Serve(t, harness.ConnectTo(t, p.URL()), roomsvc.Config{AckWait: 300 * time.Millisecond})
	return b, p
}

// The connection is lost after a commit was stored and before its ack arrived. The command takes
// effect once and gets its result.
func TestUncertain_CommitAnswerLost(t *testing.T) {
	t.Parallel()
	b, p := throughProxy(t)
	b.Create(t, "r")
	p.LoseToClient(`{"stream":"ROOM_EVENTS"`)
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("lost"))
	require.NoError(t, err)
	require.Equal(t, 1, p.Cuts())
	assert.True(t, r.Changed)
	assert.Equal(t, room.EventRef{ID: "lost", Seq: 2, Time: r.Event.Time, Version: 2}, *r.Event)
	assert.Len(t, b.Events(t), 2)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))
}

// The connection is lost before a commit reached the server. The command is decided and committed
// again.
func TestUncertain_CommitLost(t *testing.T) {
	t.Parallel()
	b, p := throughProxy(t)
	b.Create(t, "r")
	p.LoseToServer("HPUB room.post.userjoin.r")
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	require.Equal(t, 1, p.Cuts())
	assert.True(t, r.Changed)
	events := b.Decoded(t)
	require.Len(t, events, 2)
	scene.RequireChained(t, events)
}

// A reply that is lost on its way to the client is requested again, and is the same.
func TestUncertain_ReplyLost(t *testing.T) {
	t.Parallel()
	b, p := throughProxy(t)
	b.Create(t, "r")
	p.LoseToServer(`{"changed":true`)
	client := roomclient.New(b.NC, roomclient.Config{AttemptTimeout: 500 * time.Millisecond})
	r, err := client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	require.Equal(t, 1, p.Cuts())
	assert.True(t, r.Changed)
	assert.Len(t, b.Events(t), 2)
}
