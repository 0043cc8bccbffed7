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

// What many publish at once arrives, each goroutine's in its order, once.
func TestPublisherSendsAll(t *testing.T) {
	t.Parallel()
	const senders, each = 16, 500
	nc := Connection(t)
	sub, err := nc.SubscribeSync("p.*")
	require.NoError(t, err)
	p := NewBatcher(nc)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for n := range each {
				p.publish(envelope{msg: &nats.Msg{Subject: "p." + strconv.Itoa(s), Data: []byte(strconv.Itoa(n))}, failed: func(err error) { assert.NoError(t, err) }})
			}
		})
	}
	all.Wait()
	p.wait()
	require.NoError(t, nc.Flush())
	next := make(map[string]int)
	for range senders * each {
		msg, err := sub.NextMsg(time.Second)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(next[msg.Subject]), string(msg.Data), msg.Subject)
		next[msg.Subject]++
	}
	assert.Empty(t, p.queue)
	assert.False(t, p.sending)
}

// Who finds another one sending does not wait for it, and what cannot be sent is told, also
// when another one has tried.
func TestPublisherLeavesMessagesToWhoIsSending(t *testing.T) {
	t.Parallel()
	nc := Connection(t)
	sub, err := nc.SubscribeSync("p")
	require.NoError(t, err)
	p := NewBatcher(nc)
	var failures []error
	left := envelope{msg: &nats.Msg{Subject: "", Data: []byte("bad")}, failed: func(err error) { failures = append(failures, err) }}
	good := envelope{msg: &nats.Msg{Subject: "p", Data: []byte("good")}, failed: func(err error) { failures = append(failures, err) }}
	// The one that is sending is this very goroutine, while it is told of a failure.
	p.publish(envelope{msg: &nats.Msg{Subject: ""}, failed: func(err error) {
		failures = append(failures, err)
		p.publish(left, good)
		assert.Len(t, failures, 1, "they are left to the one that is sending")
	}})
	p.wait()
	require.Len(t, failures, 2)
	assert.ErrorIs(t, errors.Join(failures...), nats.ErrBadSubject)
	require.NoError(t, nc.Flush())
	msg, err := sub.NextMsg(time.Second)
	require.NoError(t, err)
	assert.Equal(t, "good", string(msg.Data))
}

// A commit or a question that lay in the reconnect buffer would leave when its sender has given it up.
func TestPublisher_UnbufferedMessageFailsWhileDisconnected(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	nc, err := server.Connect(nats.MaxReconnects(-1)) // it has a reconnect buffer
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	server.Shutdown()
	require.Eventually(t, nc.IsReconnecting, 10*time.Second, time.Millisecond)
	var failed error
	p := NewBatcher(nc)
	p.publish(envelope{msg: &nats.Msg{Subject: "p"}, unbuffered: true, failed: func(err error) { failed = err }})
	p.wait()
	require.ErrorIs(t, failed, nats.ErrConnectionReconnecting)
	assert.True(t, isUnsent(failed))
	buffered, err := nc.Buffered()
	require.NoError(t, err)
	assert.Zero(t, buffered)
	p.publish(envelope{msg: &nats.Msg{Subject: "p"}, failed: func(err error) { assert.NoError(t, err) }})
	p.wait()
	buffered, err = nc.Buffered()
	require.NoError(t, err)
	assert.Positive(t, buffered)
}
