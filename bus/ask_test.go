package bus_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

func connect(t *testing.T) *nats.Conn {
	t.Helper()
	server, err := bus.StartEmbedded(t.Context(), bus.EmbeddedConfig{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func asker(t *testing.T, nc *nats.Conn) *bus.Asker {
	t.Helper()
	a, err := bus.NewAsker(nc)
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func question(subject, data string, timeout time.Duration) bus.Question {
	return bus.Question{Msg: &nats.Msg{Subject: subject, Data: []byte(data)}, Timeout: timeout}
}

func TestAskEndsEveryQuestion(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	held := make(chan *nats.Msg, 1)
	for subject, handle := range map[string]nats.MsgHandler{
		"echo":   func(m *nats.Msg) { _ = m.Respond(m.Data) },
		"twice":  func(m *nats.Msg) { _ = m.Respond([]byte("1")); _ = m.Respond([]byte("2")) },
		"silent": func(m *nats.Msg) { held <- m },
	} {
		_, err := nc.Subscribe(subject, handle)
		require.NoError(t, err)
	}
	replies := a.Ask(t.Context(), []bus.Question{
		question("silent", "", 30*time.Millisecond),
		question("echo", "hello", time.Minute),
		question("nobody", "", time.Minute),
		question("twice", "", time.Minute),
		question("bad subject", "", time.Minute),
	})
	require.ErrorIs(t, replies[0].Err, bus.ErrLate)
	assert.GreaterOrEqual(t, replies[0].Took, 30*time.Millisecond)
	require.NoError(t, replies[1].Err)
	assert.Equal(t, "hello", string(replies[1].Msg.Data))
	require.ErrorIs(t, replies[2].Err, bus.ErrNobody)
	require.NoError(t, replies[3].Err)
	assert.Equal(t, "1", string(replies[3].Msg.Data))
	require.Error(t, replies[4].Err)

	// What comes after the end is counted: the second reply of twice, and silent's.
	require.NoError(t, (<-held).Respond(nil))
	require.Eventually(t, func() bool { return a.Late() == 2 }, 10*time.Second, time.Millisecond)
}

func TestAskEndsWithItsContext(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := nc.Subscribe("silent", func(*nats.Msg) { cancel() })
	require.NoError(t, err)
	replies := a.Ask(ctx, []bus.Question{question("silent", "", time.Hour), question("silent", "", time.Hour)})
	for _, r := range replies {
		require.ErrorIs(t, r.Err, bus.ErrLate)
	}
	assert.Empty(t, a.Ask(ctx, nil))
}

func TestAskGivesEachItsOwnReply(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	_, err := nc.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	require.NoError(t, err)
	var asking sync.WaitGroup
	for k := range 20 {
		asking.Go(func() {
			for n := range 50 {
				first, second := fmt.Sprintf("%d-%d", k, n), strconv.Itoa(n)
				replies := a.Ask(t.Context(), []bus.Question{question("echo", first, time.Minute), question("echo", second, time.Minute)})
				assert.Equal(t, first, string(replies[0].Msg.Data))
				assert.Equal(t, second, string(replies[1].Msg.Data))
			}
		})
	}
	asking.Wait()
	assert.Zero(t, a.Late())
}
