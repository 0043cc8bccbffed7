package fault_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// dialer remembers its connections, to drop them.
type dialer struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(context.Background(), network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, conn)
	return conn, err
}

func (d *dialer) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.conns = nil
}

// Thousands of clients lose their connections at once, each with a command in flight, and
// reconnect. Every command takes effect once, and the service and the workers are not affected.
func TestConnectionsDropped(t *testing.T) {
	t.Parallel()
	clients := count(150, 2000)
	b := harness.New(t, roomsvc.Config{Budget: 30 * time.Second})
	held := make(chan *nats.Msg, 100*clients)
	b.Register(t, room.Manifest{ID: "a", Implements: []room.Interface{room.PreRoomUserJoined}, Essentials: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(30_000)})
	b.Answer(t, room.PreRoomUserJoined, "a", func(msg *nats.Msg) { held <- msg })
	var d dialer
	all := make([]*roomclient.Client, clients)
	var connecting errgroup.Group
	connecting.SetLimit(64)
	for n := range all {
		connecting.Go(func() error {
			nc, err := nats.Connect(b.Server.URL(), nats.SetCustomDialer(&d), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
			if err != nil {
				return err
			}
			t.Cleanup(nc.Close)
			all[n] = roomclient.New(nc, roomclient.Config{Timeout: time.Minute, AttemptTimeout: 2 * time.Second})
			_, err = b.Client.Create(t.Context(), harness.NewRoom(fmt.Sprintf("r%d", n)))
			return err
		})
	}
	require.NoError(t, connecting.Wait())
	logUse(t, "connected")

	began := time.Now()
	var commands errgroup.Group
	for n, client := range all {
		commands.Go(func() error {
			_, err := client.Join(t.Context(), room.JoinRequest{RoomID: fmt.Sprintf("r%d", n), User: room.User{ID: "u"}})
			return err
		})
	}
	require.Eventually(t, func() bool { return len(held) >= clients }, waiting, tick, "every command is in flight")
	d.drop()
	go func() {
		for msg := range held {
			_ = msg.Respond([]byte(`{"verdict":"allow"}`))
		}
	}()
	require.NoError(t, commands.Wait())
	t.Logf("%d commands done %s after they were sent, over a connection lost", clients, time.Since(began))
	logUse(t, "after")

	joins := make(map[string]int)
	for _, e := range b.Decoded(t) {
		if e.Data.JoiningUser != nil {
			joins[e.Room]++
		}
	}
	assert.Len(t, joins, clients)
	for id, times := range joins {
		assert.Equal(t, 1, times, id)
	}
	assert.Zero(t, b.NC.Stats().Reconnects, "the worker has not noticed")
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r0", User: room.User{ID: "later"}})
	require.NoError(t, err)
	b.NC.Close()
	close(held)
}
