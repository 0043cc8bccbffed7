package peers_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/peers"
)

const (
	patience = 10 * time.Second
	tick     = time.Millisecond
)

func TestPeers_RoomGoesToServiceWithLowerID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := peers.New(peers.Config{ID: "b"})
		b.Met("r", "c")
		assert.Empty(t, b.Having("r"), "c hands the room over to b")
		b.Met("r", "b")
		b.Met("r", "")
		assert.Empty(t, b.Having("r"), "a conflict with itself or with an unknown service")
		b.Met("r", "a")
		assert.Equal(t, "a", b.Having("r"))
		assert.Empty(t, b.Having("another"))
		b.Avoid("a")
		assert.Empty(t, b.Having("r"))
		b.Met("r", "a")
		assert.Empty(t, b.Having("r"), "a does not take them")

		<-time.After(time.Minute + time.Millisecond)
		b.Met("r", "a")
		assert.Equal(t, "a", b.Having("r"))
		<-time.After(time.Second + time.Millisecond)
		assert.Empty(t, b.Having("r"), "it is tried here again in time")
		b.Met("s", "a")
		assert.Equal(t, 1, b.Rooms(), "what is over is forgotten")
	})
}

// The other services know that a service decides a command for as long as it asks slow apps.
func TestPeers_SlowDecisionIsAnnounced(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	service := func(id string) *peers.Peers {
		nc := harness.Connect(t, server)
		p := peers.New(peers.Config{ID: id, Conn: nc, AckWait: time.Second})
		require.NoError(t, p.Subscribe())
		require.NoError(t, nc.Flush())
		return p
	}
	a, b := service("a"), service("b")
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // no end of the notice by itself
	defer cancel()
	var asking atomic.Bool
	c := rules.Command{ID: "c1", Request: room.JoinRequest{RoomID: "r", User: room.User{ID: "ann"}}}
	decided := a.AnnounceWhenSlow(ctx, c, func() bool { return asking.Swap(true) }) // not at the first look
	require.Eventually(t, func() bool { return b.Deciding("r", "ann") == "a" }, patience, tick)
	assert.Empty(t, b.Deciding("r", "bob"))
	assert.Empty(t, b.Deciding("s", "ann"))
	assert.Empty(t, a.Deciding("r", "ann"), "its own notice")
	decided()
	require.Eventually(t, func() bool { return b.Deciding("r", "ann") == "" }, patience, tick)
}

// A service that has stopped has certainly not begun the command, and gets no further ones.
func TestPeers_StoppedServiceIsAvoided(t *testing.T) {
	t.Parallel()
	p := peers.New(peers.Config{ID: "b", Conn: harness.Connect(t, harness.NewServer(t)), AckWait: time.Second})
	p.Met("r", "a")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := rules.Command{ID: "c1", Request: room.JoinRequest{RoomID: "r", User: room.User{ID: "ann"}}}
	_, done, err := p.HandOver(ctx, c, &nats.Msg{}, &peers.Peer{ID: "a"})
	require.NoError(t, err)
	assert.False(t, done)
	assert.Empty(t, p.Having("r"))
}
