package bus_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/harness"
)

// connectLogging connects to a server with LogConnection.
func connectLogging(t *testing.T, server *embedded.Server, opts ...nats.Option) (*nats.Conn, *harness.Output) {
	t.Helper()
	out := harness.NewOutput()
	opts = append(opts, bus.LogConnection(slog.New(slog.NewTextHandler(out, nil)), "commands are unavailable")...)
	nc, err := nats.Connect(server.URL(), opts...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc, out
}

func TestLogConnection_LostAndRegainedOnceEach(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"}
	server, err := embedded.Start(t.Context(), cfg)
	require.NoError(t, err)
	url := server.URL()
	var attempts atomic.Int32
	nc, out := connectLogging(t, server, nats.MaxReconnects(-1), nats.CustomReconnectDelay(func(int) time.Duration {
		attempts.Add(1)
		return time.Millisecond
	}))
	server.Shutdown()
	out.Await(t, `level=WARN msg="no connection to NATS: commands are unavailable" servers=\[`+url+`\] error=\S`)
	require.Eventually(t, func() bool { return attempts.Load() > 10 }, 10*time.Second, time.Millisecond)
	nc.ErrorHandler()(nc, nil, nats.ErrAuthorization)
	nc.ErrorHandler()(nc, &nats.Subscription{}, nats.ErrConsumerNotActive)
	cfg.Listen = strings.TrimPrefix(url, "nats://")
	server, err = embedded.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	out.Await(t, `level=INFO msg="connected to NATS again" server=`+url+` outage=\d\S*s`)
	assert.Equal(t, 2, strings.Count(out.String(), "\n"), out)
}

func TestLogConnection_ErrorOncePerText(t *testing.T) {
	t.Parallel()
	nc, out := connectLogging(t, harness.NewServer(t))
	for range 3 {
		for _, text := range []string{"slow consumer", "permissions violation"} {
			nc.ErrorHandler()(nc, &nats.Subscription{Subject: "room.x"}, errors.New(text))
		}
	}
	assert.Equal(t, 2, strings.Count(out.String(), "\n"), out)
	assert.Contains(t, out.String(), `level=ERROR msg="NATS error" error="permissions violation" subject=room.x`)
}
