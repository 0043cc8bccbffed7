package bus_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
)

// A second Stop returns at once.
func TestService_StopsTwice(t *testing.T) {
	t.Parallel()
	s, err := bus.NewService(bus.NewBatcher(connect(t)), bus.ServiceConfig{Name: "s", Version: "1.0.0"}, bus.Endpoint{
		Name: "e", Subject: "e", Queue: "q", Serve: func(*nats.Msg, time.Time) ([]byte, nats.Header, error) { return nil, nil, nil },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
	require.NoError(t, s.Stop(ctx))
}

// If a subscription fails, NewService leaves no other subscription open.
func TestService_FailedSubscribeLeavesNoSubscription(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	_, err := bus.NewService(bus.NewBatcher(nc), bus.ServiceConfig{Name: "s", Version: "1.0.0"}, bus.Endpoint{Name: "good", Subject: "e"}, bus.Endpoint{Name: "bad", Subject: "bad subject"})
	require.ErrorIs(t, err, nats.ErrBadSubject)
	assert.Zero(t, nc.NumSubscriptions())
}

// slowLink is a connection to the server that can be blocked: writes between hold and release block,
// and their data arrives after release.
type slowLink struct {
	sync.Mutex
	net.Conn

	holds bool
	held  []byte
}

func (l *slowLink) Dial(network, address string) (c net.Conn, err error) {
	l.Conn, err = net.Dial(network, address)
	return l, err
}

func (l *slowLink) Write(b []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	if l.holds {
		l.held = append(l.held, b...)
		return len(b), nil
	}
	return l.Conn.Write(b)
}

func (l *slowLink) hold() {
	l.Lock()
	defer l.Unlock()
	l.holds = true
}

func (l *slowLink) release(t *testing.T) {
	t.Helper()
	l.Lock()
	defer l.Unlock()
	l.holds = false
	_, err := l.Conn.Write(l.held)
	require.NoError(t, err)
}

func connectSlowly(t *testing.T) (slow *nats.Conn, link *slowLink, fast *nats.Conn) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	fast, err = server.Connect()
	require.NoError(t, err)
	t.Cleanup(fast.Close)
	link = &slowLink{}
	slow, err = nats.Connect(server.URL(), nats.SetCustomDialer(link))
	require.NoError(t, err)
	t.Cleanup(slow.Close)
	return slow, link, fast
}

// If Stop times out because the server does not answer, the connection stays usable. This holds if
// the service ends its subscriptions, and if the connection does.
func TestService_StopTimesOutWhenServerIsSilent(t *testing.T) {
	t.Parallel()
	for name, drain := range map[string]bool{"connected": false, "draining": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, link, other := connectSlowly(t)
			endpoint := func(name string) bus.Endpoint {
				return bus.Endpoint{Name: name, Subject: name, Queue: "q", Serve: func(*nats.Msg, time.Time) ([]byte, nats.Header, error) { return nil, nil, nil }}
			}
			s, err := bus.NewService(bus.NewBatcher(nc), bus.ServiceConfig{Name: "s", Version: "1.0.0", Logger: slog.New(slog.DiscardHandler)}, endpoint("a"), endpoint("b"), endpoint("c"))
			require.NoError(t, err)
			require.NoError(t, nc.Flush())
			link.hold()
			if drain {
				require.NoError(t, nc.Drain())
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, s.Stop(ctx), context.DeadlineExceeded)
			for range 100 { // requests that the server sends until it receives the unsubscribe
				require.NoError(t, other.PublishRequest("a", nats.NewInbox(), nil))
			}
			require.NoError(t, other.Flush())
			link.release(t)
			closed := make(chan struct{})
			go func() {
				_ = nc.FlushTimeout(patience) // the connection may be closed already
				nc.Close()
				close(closed)
			}()
			select {
			case <-closed:
			case <-time.After(patience):
				require.Fail(t, "the connection is locked")
			}
		})
	}
}

// A reply that is not sent yet counts as in progress, so MaxInFlight bounds the memory of replies.
func TestService_UnsentRepliesAreBounded(t *testing.T) {
	t.Parallel()
	nc, link, other := connectSlowly(t)
	const asked, size = 600, 100 << 10
	var refused, served atomic.Int64
	s, err := bus.NewService(bus.NewBatcher(nc), bus.ServiceConfig{
		Name: "s", Version: "1.0.0", MaxInFlight: 16, Logger: slog.New(slog.DiscardHandler),
		Refuse: func(string, error) *nats.Msg { refused.Add(1); return nats.NewMsg("") },
	}, bus.Endpoint{Name: "e", Subject: "e", Queue: "q", Serve: func(*nats.Msg, time.Time) ([]byte, nats.Header, error) {
		served.Add(1)
		return make([]byte, size), nil, nil
	}})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	link.Lock()
	leave := sync.OnceFunc(link.Unlock)
	defer leave()
	for range asked {
		require.NoError(t, other.PublishRequest("e", other.NewInbox(), nil))
	}
	require.Eventually(t, func() bool { return refused.Load() > 0 }, patience, time.Millisecond)
	assert.Less(t, served.Load()*size, int64(32<<20))
	leave()
	require.Eventually(t, func() bool { return refused.Load()+served.Load() == asked }, patience, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

// Requests above MaxInFlight do not take a goroutine each, even if refusing them is slow.
func TestService_RefusesWithFewGoroutines(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	const over = 100
	begun, refusing, end := make(chan struct{}, 1+over), make(chan struct{}, over), make(chan struct{})
	s, err := bus.NewService(bus.NewBatcher(nc), bus.ServiceConfig{
		Name: "s", Version: "1.0.0", MaxInFlight: 1,
		Refuse: func(string, error) *nats.Msg {
			refusing <- struct{}{}
			<-end
			return nats.NewMsg("")
		},
	}, bus.Endpoint{
		Name: "e", Subject: "e", Queue: "q", Serve: func(*nats.Msg, time.Time) ([]byte, nats.Header, error) {
			begun <- struct{}{}
			<-end
			return nil, nil, nil
		},
	})
	require.NoError(t, err)
	defer func() {
		close(end)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		assert.NoError(t, s.Stop(ctx))
	}()
	ask := func() { require.NoError(t, nc.PublishRequest("e", nats.NewInbox(), nil)) }
	ask()
	<-begun
	for range over {
		ask()
	}
	require.NoError(t, nc.Flush())
	<-refusing
	assert.Never(t, func() bool { return len(refusing) > 0 }, 100*time.Millisecond, 10*time.Millisecond)
}
