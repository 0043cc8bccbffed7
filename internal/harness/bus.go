package harness

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// Bus is a NATS server with a room service on it, and a client of both.
type Bus struct {
	Server  *embedded.Server
	NC      *nats.Conn // the test's own
	JS      jetstream.JetStream
	Client  *roomclient.Client
	Service *roomsvc.Service
}

// NewServer starts an embedded server that listens on a free port of 127.0.0.1.
func NewServer(t testing.TB) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	return server
}

// New starts a server and a room service.
func New(t testing.TB, cfg roomsvc.Config) *Bus {
	t.Helper()
	server := NewServer(t)
	b := &Bus{Server: server, NC: Connect(t, server)}
	js, err := jetstream.New(b.NC)
	require.NoError(t, err)
	b.JS, b.Client = js, roomclient.New(b.NC, roomclient.Config{})
	b.Service = Serve(t, Connect(t, server), cfg)
	return b
}

// BusOn is a bus without its own service.
func BusOn(t testing.TB, server *embedded.Server) *Bus {
	t.Helper()
	b := BusAt(t, server.URL())
	b.Server = server
	return b
}

// BusAt is a bus that another process serves.
func BusAt(t testing.TB, url string) *Bus {
	t.Helper()
	nc := ConnectTo(t, url)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return &Bus{NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})}
}

// Connect connects to the server over TCP, as another process would.
func Connect(t testing.TB, server *embedded.Server) *nats.Conn {
	t.Helper()
	return ConnectTo(t, server.URL())
}

// ConnectTo connects to the server at the URL.
func ConnectTo(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// Requester sends requests, and appends to streams, over the connection.
func Requester(t testing.TB, nc *nats.Conn) *bus.Requester {
	t.Helper()
	a, err := bus.NewRequester(bus.NewBatcher(nc))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() }) // fails only if the connection is closed
	return a
}

// Serve starts a room service on the connection. It does not wait for workers unless the
// configuration says so.
func Serve(t testing.TB, nc *nats.Conn, cfg roomsvc.Config) *roomsvc.Service {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = Log(t)
	}
	if cfg.WorkerWait == 0 {
		cfg.WorkerWait = -1
	}
	ctx, cancel := context.WithTimeout(t.Context(), processTimeout)
	defer cancel()
	s, err := roomsvc.Start(ctx, nc, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), processTimeout)
		defer cancel()
		_ = s.Stop(ctx) // a test may have closed its connection
	})
	return s
}

// ServeLogged starts a service and returns its log.
func (b *Bus) ServeLogged(t testing.TB, cfg roomsvc.Config) *Output {
	t.Helper()
	log := NewOutput()
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	b.Service = Serve(t, Connect(t, b.Server), cfg)
	return log
}

// Work runs a worker of the app until the test ends or stop is called. stop returns the result of
// Run.
func (b *Bus) Work(t testing.TB, m room.Manifest, handlers ...any) (stop func() error) {
	t.Helper()
	return b.WorkWith(t, appworker.Config{}, m, handlers...)
}

// WorkWith is Work with a configuration.
func (b *Bus) WorkWith(t testing.TB, cfg appworker.Config, m room.Manifest, handlers ...any) (stop func() error) {
	t.Helper()
	if m.Version == "" {
		m.Version = "1.0.0"
	}
	if cfg.Conn == nil {
		cfg.Conn = Connect(t, b.Server)
	}
	if cfg.Logger == nil {
		cfg.Logger = Log(t)
	}
	ready := make(chan struct{})
	cfg.OnReady = func() { close(ready) }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- appworker.Run(ctx, cfg, m, handlers...) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		require.NoError(t, err)
		t.Fatal("the worker ended before it was ready")
	}
	var result error
	var stopped bool
	stop = func() error {
		if !stopped {
			cancel()
			result, stopped = <-ended, true
		}
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// Register registers an app without a worker.
func (b *Bus) Register(t testing.TB, m room.Manifest) {
	t.Helper()
	if m.Version == "" {
		m.Version = "1.0.0"
	}
	_, err := b.Client.RegisterApp(t.Context(), m)
	require.NoError(t, err)
}

// SetAckWait changes the ack wait of the app's consumer, as an operator may. Running workers do not
// notice.
func (b *Bus) SetAckWait(t testing.TB, app string, wait time.Duration) {
	t.Helper()
	c, err := b.JS.Consumer(t.Context(), subjects.Events, subjects.Durable(app))
	require.NoError(t, err)
	cfg := c.CachedInfo().Config
	cfg.AckWait = wait
	_, err = b.JS.UpdateConsumer(t.Context(), subjects.Events, cfg)
	require.NoError(t, err)
}

// drainTimeout allows for killed servers to come back first.
const drainTimeout = 90 * time.Second

// RequireDrained waits until the app has no events left to handle.
func (b *Bus) RequireDrained(t testing.TB, app string) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := b.JS.Consumer(t.Context(), subjects.Events, subjects.Durable(app))
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	}, drainTimeout, 20*time.Millisecond, "%s does not come to an end with its events", app)
}

// Answer makes the test's own connection a worker of the app that speaks the wire protocol.
func (b *Bus) Answer(t testing.TB, i room.Interface, app string, handle nats.MsgHandler) {
	t.Helper()
	sub, err := b.NC.QueueSubscribe(subjects.Pre(i, app), subjects.AppQueue(app), handle)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	require.NoError(t, b.NC.Flush())
}

// Says is a handler for Answer that always sends the same reply.
func Says(reply string) nats.MsgHandler {
	return func(msg *nats.Msg) { _ = msg.Respond([]byte(reply)) }
}

// Request sends a request with those headers, each a key and a value, and returns the reply.
func (b *Bus) Request(t testing.TB, subject, body string, headers ...string) *nats.Msg {
	t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = []byte(body)
	for n := 0; n < len(headers); n += 2 {
		msg.Header.Set(headers[n], headers[n+1])
	}
	reply, err := b.NC.RequestMsg(msg, ReplyTime)
	require.NoError(t, err)
	return reply
}

// Send sends a request whose answer is awaited later.
func (b *Bus) Send(t testing.TB, subject, body string) <-chan *nats.Msg {
	t.Helper()
	inbox := b.NC.NewInbox()
	reply := make(chan *nats.Msg, 1)
	sub, err := b.NC.ChanSubscribe(inbox, reply)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	require.NoError(t, b.NC.PublishRequest(subject, inbox, []byte(body)))
	require.NoError(t, b.NC.Flush())
	return reply
}

// Create makes a channel with that id, created by user "owner".
func (b *Bus) Create(t testing.TB, id string) room.Result {
	t.Helper()
	r, err := b.Client.Create(t.Context(), NewRoom(id))
	require.NoError(t, err)
	return r
}

// NewRoom returns the request for a channel with that id, created by user "owner".
func NewRoom(id string) room.CreateRequest {
	return room.CreateRequest{
		Room:    room.NewRoom{ID: id, SlugifiedName: id, Type: room.Channel},
		Creator: room.User{ID: "owner"},
	}
}

// Events reads the whole stream of events.
func (b *Bus) Events(t testing.TB) []*jetstream.RawStreamMsg {
	t.Helper()
	return b.Stored(t, subjects.Events)
}

// Stored reads a whole stream.
func (b *Bus) Stored(t testing.TB, stream string) []*jetstream.RawStreamMsg {
	t.Helper()
	var all []*jetstream.RawStreamMsg
	for msg, err := range bus.Read(t.Context(), b.JS, stream, jetstream.OrderedConsumerConfig{}, false) {
		require.NoError(t, err)
		all = append(all, msg)
	}
	return all
}

// Decoded reads the whole stream as events.
func (b *Bus) Decoded(t testing.TB) []room.Event {
	t.Helper()
	var all []room.Event
	for _, msg := range b.Events(t) {
		e, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

// Rejections reads the stream of rejections once it has at least n messages.
func (b *Bus) Rejections(t testing.TB, n int) []room.Rejection {
	t.Helper()
	var stored []*jetstream.RawStreamMsg
	require.Eventually(t, func() bool {
		stored = b.Stored(t, subjects.Rejections)
		return len(stored) >= n
	}, ReplyTime, Tick, "rejections are written beside the command")
	var all []room.Rejection
	for _, msg := range stored {
		r, err := subjects.DecodeRejection(msg.Subject, msg.Header, msg.Data)
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

// Members returns the ids of a room's members.
func (b *Bus) Members(t testing.TB, roomID string) []string {
	t.Helper()
	var ids []string
	for u, err := range b.Client.AllMembers(t.Context(), roomID) {
		require.NoError(t, err)
		ids = append(ids, u.ID)
	}
	return ids
}

// Log returns a logger that writes to the test's log.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
