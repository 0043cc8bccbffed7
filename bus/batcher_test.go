package bus

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

// The messages of concurrent goroutines arrive once, and in order for each goroutine.
func TestBatcher_SendsAllInOrder(t *testing.T) {
	t.Parallel()
	const senders, each = 16, 500
	nc := Connection(t)
	sub, err := nc.SubscribeSync("p.*")
	require.NoError(t, err)
	b := NewBatcher(nc)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for n := range each {
				b.publish(envelope{msg: &nats.Msg{Subject: "p." + strconv.Itoa(s), Data: []byte(strconv.Itoa(n))}, failed: func(err error) { assert.NoError(t, err) }})
			}
		})
	}
	all.Wait()
	b.wait()
	require.NoError(t, nc.Flush())
	next := make(map[string]int)
	for range senders * each {
		msg, err := sub.NextMsg(time.Second)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(next[msg.Subject]), string(msg.Data), msg.Subject)
		next[msg.Subject]++
	}
	assert.Empty(t, b.queue)
	assert.False(t, b.sending)
}

// publish does not wait while another goroutine sends, and a failed send is reported to the message's
// own failed function.
func TestBatcher_QueuesWhileAnotherGoroutineSends(t *testing.T) {
	t.Parallel()
	nc := Connection(t)
	sub, err := nc.SubscribeSync("p")
	require.NoError(t, err)
	b := NewBatcher(nc)
	var failures []error
	left := envelope{msg: &nats.Msg{Subject: "", Data: []byte("bad")}, failed: func(err error) { failures = append(failures, err) }}
	good := envelope{msg: &nats.Msg{Subject: "p", Data: []byte("good")}, failed: func(err error) { failures = append(failures, err) }}
	// This goroutine is the sender while its failed function runs.
	b.publish(envelope{msg: &nats.Msg{Subject: ""}, failed: func(err error) {
		failures = append(failures, err)
		b.publish(left, good)
		assert.Len(t, failures, 1, "they are queued for the sender")
	}})
	b.wait()
	require.Len(t, failures, 2)
	assert.ErrorIs(t, errors.Join(failures...), nats.ErrBadSubject)
	require.NoError(t, nc.Flush())
	msg, err := sub.NextMsg(time.Second)
	require.NoError(t, err)
	assert.Equal(t, "good", string(msg.Data))
}

// A commit or a request in the reconnect buffer would leave after its sender has given up.
func TestBatcher_UnbufferedMessageFailsWhileDisconnected(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	nc, err := server.Connect(nats.MaxReconnects(-1)) // it has a reconnect buffer
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	server.Shutdown()
	require.Eventually(t, nc.IsReconnecting, 10*time.Second, time.Millisecond)
	var failed error
	b := NewBatcher(nc)
	b.publish(envelope{msg: &nats.Msg{Subject: "p"}, unbuffered: true, failed: func(err error) { failed = err }})
	b.wait()
	require.ErrorIs(t, failed, nats.ErrConnectionReconnecting)
	assert.True(t, isUnsent(failed))
	buffered, err := nc.Buffered()
	require.NoError(t, err)
	assert.Zero(t, buffered)
	b.publish(envelope{msg: &nats.Msg{Subject: "p"}, failed: func(err error) { assert.NoError(t, err) }})
	b.wait()
	buffered, err = nc.Buffered()
	require.NoError(t, err)
	assert.Positive(t, buffered)
}
