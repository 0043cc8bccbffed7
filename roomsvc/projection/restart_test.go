package projection_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/subjects"
)

// reads records how reading the stream goes.
type reads struct {
	mu    sync.Mutex
	calls []string
}

func (r *reads) add(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

func (r *reads) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

func (r *reads) StreamFound()                 { r.add("found") }
func (r *reads) ReadStarted()                 { r.add("started") }
func (r *reads) ReadFailed(_ bool, err error) { r.add("failed: " + err.Error()) }

// server is a NATS server with the streams of a projection.
type server struct {
	nc          *nats.Conn
	js          jetstream.JetStream
	stream      jetstream.Stream
	reconnected chan nats.Status
}

func newServer(t *testing.T) *server {
	t.Helper()
	started, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(started.Shutdown)
	s := &server{reconnected: make(chan nats.Status)}
	s.nc, err = started.Connect()
	require.NoError(t, err)
	t.Cleanup(s.nc.Close)
	s.js, err = jetstream.New(s.nc)
	require.NoError(t, err)
	s.stream, err = s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.Events, Subjects: []string{subjects.AllEvents}})
	require.NoError(t, err)
	return s
}

// start returns a running projection that is restored from the snapshot, and the sequence from
// which it reads on.
func (s *server) start(t *testing.T, snapshots *projection.Snapshots, o projection.Observer) (p *projection.Projection, restored uint64) {
	t.Helper()
	p = projection.New(projection.Config{
		ID: "a", Conn: s.nc, Stream: s.stream, AckWait: 2 * time.Second, SnapshotEvery: -1, Observer: o, Reconnected: s.reconnected,
		EnsureSnapshots: func(ctx context.Context) error {
			_, err := s.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: subjects.Snapshots})
			return err
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	snapshots.Restore(t.Context(), p)
	restored = p.Last()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	require.NoError(t, p.CatchUp(t.Context()))
	return p, restored
}

// publish stores the event of a command as a room service with this projection does.
func (s *server) publish(t *testing.T, p *projection.Projection, id string, r room.Request) {
	t.Helper()
	c := rules.Command{ID: id, Time: time.Now(), Request: r, Bounds: rules.Bounds{MaxBytes: 1 << 20}}
	v, committed := p.View(c)
	require.Zero(t, committed)
	d, err := rules.Decide(v, c)
	require.NoError(t, err)
	data := d.Final()
	subject, headers, body, err := subjects.EncodePost(room.Event{
		ID: id, Type: d.Event, Room: r.Target(), Time: v.Time(c.Time), Expected: v.Seq, Previous: v.Latest,
		Version: data.Room.Version, Replica: "s1", Data: data,
	}, "")
	require.NoError(t, err)
	ack, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: headers, Data: body}, jetstream.WithMsgID(id),
		jetstream.WithExpectLastSequenceForSubject(v.Seq, subjects.PostsOf(r.Target())))
	require.NoError(t, err)
	require.NoError(t, p.AwaitSeq(t.Context(), ack.Sequence))
}

// A service that starts from a snapshot has the same rooms as a service that has read the whole
// stream, and reads only the events behind the snapshot.
func TestProjection_RestoredEqualsWholeStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := projection.NewSnapshots(s.js)
	var observed reads
	p, restored := s.start(t, first, &observed)
	assert.Zero(t, restored)
	create := room.CreateRequest{Room: room.NewRoom{ID: "r", SlugifiedName: "r", Type: room.Channel}, Creator: room.User{ID: "owner"}}
	s.publish(t, p, "c", create)
	s.publish(t, p, "j", room.JoinRequest{RoomID: "r", User: room.User{ID: "alice"}})
	first.TakeLast(t.Context(), p)
	end, err := first.End(t.Context())
	require.NoError(t, err)
	assert.Equal(t, uint64(2), end)
	s.publish(t, p, "k", room.JoinRequest{RoomID: "r", User: room.User{ID: "bob"}})

	next, restored := s.start(t, projection.NewSnapshots(s.js), &reads{})
	assert.Equal(t, uint64(2), restored)
	assert.Equal(t, p.Stats(), next.Stats())
	members, err := next.MembersAfter("r", "", 10)
	require.NoError(t, err)
	assert.Equal(t, []room.User{{ID: "alice"}, {ID: "bob"}, {ID: "owner"}}, members)
	for id, seq := range map[string]uint64{"c": 1, "j": 2, "k": 3, "unknown": 0} {
		_, committed := next.View(rules.Command{ID: id, Request: create})
		assert.Equal(t, seq, committed, "the event of command %s", id)
	}
	assert.Equal(t, []string{"found", "started"}, observed.list())
}

// When a lost connection is back the stream is read again. That is no failure.
func TestProjection_ReconnectionIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var observed reads
	s.start(t, projection.NewSnapshots(s.js), &observed)
	s.reconnected <- nats.CONNECTED
	require.Eventually(t, func() bool { return len(observed.list()) >= 4 }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, []string{"found", "started", "found", "started"}, observed.list())
}

// Events of live rooms that were purged are counted.
func TestProjection_MissingEventsAreCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p, _ := s.start(t, projection.NewSnapshots(s.js), &reads{})
	s.publish(t, p, "c", room.CreateRequest{Room: room.NewRoom{ID: "r", SlugifiedName: "r", Type: room.Channel}, Creator: room.User{ID: "owner"}})
	s.publish(t, p, "j", room.JoinRequest{RoomID: "r", User: room.User{ID: "alice"}})
	missing, known := p.MissingEvents(t.Context())
	assert.True(t, known)
	assert.Zero(t, missing)
	require.NoError(t, s.stream.Purge(t.Context(), jetstream.WithPurgeSubject(subjects.Post(room.EventCreate, "r"))))
	missing, known = p.MissingEvents(t.Context())
	assert.True(t, known)
	assert.Equal(t, uint64(1), missing)
	require.NoError(t, s.js.DeleteStream(t.Context(), subjects.Events))
	_, known = p.MissingEvents(t.Context())
	assert.False(t, known, "the stream does not answer")
}
