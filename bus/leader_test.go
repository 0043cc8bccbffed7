package bus_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
)

// LeaderLast returns the sequence of a message with invalid headers: such a message must not block a
// room.
func TestLeaderLast_InvalidHeadersGiveSequence(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = bus.LeaderLast(t.Context(), nc, "A", "a")
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}})
	require.NoError(t, err)
	last, err := bus.LeaderLast(t.Context(), nc, "A", "a")
	require.NoError(t, err)
	assert.Zero(t, last.Seq)

	stored, err := nc.SubscribeSync("stored")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "nats://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	const headers = "NATS/1.0\r\nno colon\r\n\r\n"
	_, err = fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"headers\":true}\r\nHPUB a stored %d %d\r\n%sx\r\n", len(headers), len(headers)+1, headers)
	require.NoError(t, err)
	_, err = stored.NextMsg(patience)
	require.NoError(t, err)
	last, err = bus.LeaderLast(t.Context(), nc, "A", "a")
	require.NoError(t, err)
	assert.Equal(t, uint64(1), last.Seq)
	assert.Empty(t, last.Header())
}
