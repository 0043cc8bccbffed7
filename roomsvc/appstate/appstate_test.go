package appstate_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/appstate"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
	"github.com/roombus/roombus/subjects"
)

// replica is the registry and the hooks of a replica.
type replica struct {
	manifest room.Manifest
	synced   uint64
	awaited  uint64
	revived  string
}

func (r *replica) AwaitSync(context.Context) error { return nil }

func (r *replica) CatchUp(_ context.Context, revision uint64) uint64 {
	r.awaited = revision
	return r.synced
}

func (r *replica) List() []room.Manifest { return []room.Manifest{r.manifest} }

func (r *replica) Manifest(string) (room.Manifest, error) { return r.manifest, nil }

func (r *replica) Get(id string) (room.Registration, bool) {
	return room.Registration{Manifest: r.manifest}, id == r.manifest.ID
}

func (r *replica) Revive(app string) { r.revived = app }

func (r *replica) Reports(app string) []hookstats.Report {
	return []hookstats.Report{{App: app, Interface: room.PreRoomUserJoined, Figures: room.Figures{Calls: 2}}}
}

// bus is a NATS server with the stream of events.
type bus struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	events jetstream.Stream
}

func newBus(t *testing.T) *bus {
	t.Helper()
	b := &bus{nc: harness.Connect(t, harness.NewServer(t))}
	var err error
	b.js, err = jetstream.New(b.nc)
	require.NoError(t, err)
	b.events, err = b.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: subjects.Events, Subjects: []string{subjects.AllEvents}, AllowDirect: true,
	})
	require.NoError(t, err)
	return b
}

func (b *bus) apps(r *replica) *appstate.Apps {
	return appstate.New(appstate.Config{Conn: b.nc, JetStream: b.js, Events: b.events, Registry: r, Hooks: r})
}

// replies answers requests to all replicas.
func replies(t *testing.T, nc *nats.Conn, answer func() string) {
	t.Helper()
	_, err := nc.Subscribe(subjects.App(subjects.Replica), func(msg *nats.Msg) { _ = msg.Respond([]byte(answer())) })
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
}

// The figures are sums over the replicas that answer, for all interfaces and for each. An error is
// no answer. Only the state of a single app has the interfaces.
func TestApps_SumReplicas(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	for _, report := range []string{
		`{"revision":1,"figures":[{"app":"guard","interface":"PreRoomUserJoined","calls":1},{"app":"other","interface":"PreRoomUserJoined","calls":9}]}`,
		`{"revision":1,"figures":[{"app":"guard","interface":"PreRoomUserJoined","calls":2},{"app":"guard","interface":"PreRoomUserLeave","calls":4}]}`,
		`{"code":"unavailable"}`,
	} {
		replies(t, b.nc, func() string { return report })
	}
	apps := b.apps(&replica{manifest: room.Manifest{ID: "guard", Version: "1.0.0"}})

	info, err := apps.Info(t.Context(), room.AppRequest{ID: "guard"})
	require.NoError(t, err)
	assert.Equal(t, 2, info.State.Replicas)
	assert.EqualValues(t, 7, info.State.Calls)
	require.Len(t, info.State.Interfaces, 2)
	assert.EqualValues(t, 3, info.State.Interfaces[room.PreRoomUserJoined].Calls)
	assert.EqualValues(t, 4, info.State.Interfaces[room.PreRoomUserLeave].Calls)

	all, err := apps.List(t.Context(), room.AppRequest{})
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.EqualValues(t, 7, all[0].State.Calls)
	assert.Empty(t, all[0].State.Interfaces)
}

// A policy has no breaker. The breaker of an app with workers is closed if no replica reports another state.
func TestApps_PolicyHasNoBreaker(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	replies(t, b.nc, func() string {
		return `{"revision":1,"figures":[{"app":"house","interface":"PreRoomUserJoined","calls":1}]}`
	})
	house := room.Manifest{ID: "house", Version: "1.0.0", Rules: map[room.Interface][]room.Rule{room.PreRoomUserJoined: {{Deny: "true"}}}}
	for breaker, m := range map[room.Breaker]room.Manifest{"": house, room.BreakerClosed: {ID: "house", Version: "1.0.0"}} {
		info, err := b.apps(&replica{manifest: m}).Info(t.Context(), room.AppRequest{ID: "house"})
		require.NoError(t, err)
		assert.Equal(t, breaker, info.State.Breaker)
		assert.Equal(t, breaker, info.State.Interfaces[room.PreRoomUserJoined].Breaker)
	}
}

// Events in the consumer of an app are its backlog, or parked if the manifest has no post-interface.
// A worker that waits for the next event shows that the app is there.
func TestApps_Backlog(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	_, err := b.events.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: subjects.Durable("guard"), AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	r := &replica{manifest: room.Manifest{ID: "guard", Version: "1.0.0", Implements: []room.Interface{room.PostRoomCreate}}}
	apps := b.apps(r)
	state := func() room.AppState {
		info, err := apps.Info(t.Context(), room.AppRequest{ID: "guard"})
		require.NoError(t, err)
		return *info.State
	}
	worker, err := b.nc.SubscribeSync(nats.NewInbox())
	require.NoError(t, err)
	require.False(t, state().Unseen)
	require.NoError(t, b.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.ROOM_EVENTS.guard", worker.Subject, []byte("1")))
	require.Eventually(t, func() bool { return state().Unseen }, time.Minute, time.Millisecond)
	assert.Zero(t, *state().Backlog)

	for _, event := range []string{"room.post.create.one", "room.post.create.two"} {
		_, err = b.js.Publish(t.Context(), event, nil)
		require.NoError(t, err)
	}
	first, err := worker.NextMsgWithContext(t.Context())
	require.NoError(t, err)
	is := state()
	assert.EqualValues(t, 2, *is.Backlog)
	require.NotNil(t, is.Oldest)
	assert.Equal(t, "one", is.Oldest.Room)
	require.NoError(t, first.AckSync())
	is = state()
	assert.EqualValues(t, 1, *is.Backlog)
	require.NotNil(t, is.Oldest)
	assert.Equal(t, "two", is.Oldest.Room)

	r.manifest.Implements = nil
	is = state()
	assert.Nil(t, is.Backlog)
	assert.EqualValues(t, 1, is.Parked)
}
