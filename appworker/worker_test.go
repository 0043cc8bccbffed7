package appworker_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
)

func TestRun_StoppedWhileConnecting(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts connections, and nothing answers
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	t.Setenv("NATS_URL", "nats://"+silent.Addr().String())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	at := time.Now()
	guard := appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }}
	require.NoError(t, appworker.Run(ctx, appworker.Config{}, appworker.Manifest{ID: "guard", Version: "1.0.0"}, guard))
	assert.Less(t, time.Since(at), time.Second)
}
