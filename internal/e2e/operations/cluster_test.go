package operations_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// TestCluster runs two room services on three NATS nodes, as in deploy/, and stops parts under
// load. First it restarts one room service after the other, as an upgrade does. Then it kills the
// node that leads the stream.
func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := harness.NewCluster(t, "../../../deploy/nats/node.conf")
	services := []*harness.Process{harness.ServeOn(t, cluster), harness.ServeOn(t, cluster)}
	nc := cluster.Connect(t, 0)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	b := &harness.Bus{NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})}
	rooms := []string{"r0", "r1", "r2", "r3"}
	for _, id := range rooms {
		b.Create(t, id)
	}
	recreate(t, b, rooms[0])
	load := newLoad(rooms)

	load.start(t, cluster, roomclient.Config{AttemptTimeout: harness.Patience}) // no answer is lost, so no command is sent twice
	load.awaitProgress(t)

	stream := streamInfo(t, js)
	assert.Equal(t, 3, stream.Config.Replicas)
	assert.Len(t, stream.Cluster.Replicas, 2, "copies besides the leader's")
	harness.RequireAllServe(t, nc, len(services))

	for i, service := range services {
		service.Signal(syscall.SIGTERM)
		assert.Zero(t, service.Wait())
		load.awaitProgress(t)
		services[i] = harness.ServeOn(t, cluster)
		load.awaitProgress(t)
	}
	load.end(t)

	load.start(t, cluster, roomclient.Config{})
	load.awaitProgress(t)
	leader := cluster.Node(t, streamInfo(t, js).Cluster.Leader)
	leader.Kill()
	load.awaitProgress(t)
	assert.NotEqual(t, leader.Name, streamInfo(t, js).Cluster.Leader)
	leader.Start(t)
	cluster.AwaitHealthy(t)
	load.awaitProgress(t)
	load.end(t)

	harness.RequireAllServe(t, nc, len(services))
	events := b.Decoded(t)
	scene.RequireChained(t, events)
	load.requireOnce(t, events)
	for i := range cluster.Nodes {
		load.requireMembers(t, roomclient.New(cluster.Connect(t, i), roomclient.Config{}))
	}
	for _, service := range services {
		assert.NotContains(t, service.Stderr.String(), "resetting the projection", "no service mistook the stream for another")
	}
}

// recreate deletes a room and creates it again.
func recreate(t *testing.T, b *harness.Bus, id string) {
	t.Helper()
	_, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: id})
	require.NoError(t, err)
	b.Create(t, id)
}

// streamInfo describes the stream of events once it has a leader.
func streamInfo(t *testing.T, js jetstream.JetStream) *jetstream.StreamInfo {
	t.Helper()
	var info *jetstream.StreamInfo
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), subjects.Events)
		if err != nil {
			return false
		}
		info = stream.CachedInfo()
		return info.Cluster != nil && info.Cluster.Leader != ""
	}, harness.Patience, 50*time.Millisecond, "the stream has no leader")
	return info
}

// load is a set of users that join and leave rooms, with the expected result.
type load struct {
	rounds  int
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu       sync.Mutex
	acked    map[string]uint64   // command id -> sequence of its event
	members  map[string][]string // by room
	failures []error
}

func newLoad(rooms []string) *load {
	l := &load{acked: make(map[string]uint64), members: make(map[string][]string)}
	for _, id := range rooms {
		l.members[id] = []string{"owner"}
	}
	return l
}

// start sends commands from several clients at once until end. The clients are connected to
// different nodes, because a node prefers the services that are connected to itself.
func (l *load) start(t *testing.T, c *harness.Cluster, cfg roomclient.Config) {
	t.Helper()
	l.rounds++
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	rooms := slices.Sorted(maps.Keys(l.members))
	for i := range 2 * len(c.Nodes) {
		client := roomclient.New(c.Connect(t, i%len(c.Nodes)), cfg)
		prefix := fmt.Sprintf("%d-%d-", l.rounds, i)
		l.clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.comeAndGo(client, rooms[n%len(rooms)], prefix+strconv.Itoa(n), n%2 == 0)
			}
		})
	}
	t.Cleanup(func() { l.stop(); l.clients.Wait() })
}

// comeAndGo lets a new user join, and leave again or stay.
func (l *load) comeAndGo(client *roomclient.Client, roomID, user string, stay bool) {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	u := room.User{ID: user}
	join, err := client.Join(ctx, room.JoinRequest{RoomID: roomID, User: u}, roomclient.WithID("join-"+user))
	l.took("join-"+user, join, err)
	if stay {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.members[roomID] = append(l.members[roomID], user)
		return
	}
	leave, err := client.Leave(ctx, room.LeaveRequest{RoomID: roomID, User: u}, roomclient.WithID("leave-"+user))
	l.took("leave-"+user, leave, err)
}

func (l *load) took(id string, r room.Result, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failures = append(l.failures, fmt.Errorf("%s: %w", id, err))
	case !r.Changed || r.Event == nil:
		l.failures = append(l.failures, fmt.Errorf("%s changed nothing", id))
	case r.Event.ID != id:
		l.failures = append(l.failures, fmt.Errorf("%s was answered with event %s", id, r.Event.ID))
	default:
		l.acked[id] = r.Event.Seq
	}
}

// progress returns the number of acknowledged commands, and the errors of the others.
func (l *load) progress() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked), errors.Join(l.failures...)
}

// awaitProgress waits until a good number of new commands are acknowledged.
func (l *load) awaitProgress(t *testing.T) {
	t.Helper()
	before, _ := l.progress()
	require.Eventually(t, func() bool {
		n, err := l.progress()
		return n >= before+200 || err != nil
	}, harness.Patience, 20*time.Millisecond, "commands are no longer answered")
	_, err := l.progress()
	require.NoError(t, err)
}

// end waits for the commands in progress and checks that none has failed.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.clients.Wait()
	_, err := l.progress()
	require.NoError(t, err)
}

// requireOnce checks that every acknowledged command is in the stream once, where the answer said.
func (l *load) requireOnce(t *testing.T, events []room.Event) {
	t.Helper()
	found := make(map[string]uint64)
	for _, e := range events {
		_, twice := found[e.ID]
		require.False(t, twice, "event %d has the id of one before it", e.Seq)
		found[e.ID] = e.Seq
	}
	for id, seq := range l.acked {
		require.Equal(t, seq, found[id], "the sequence of %s", id)
	}
	t.Logf("%d commands acknowledged, %d events", len(l.acked), len(events))
}

// requireMembers checks the members of the rooms. A service may lag a little behind the other.
func (l *load) requireMembers(t *testing.T, client *roomclient.Client) {
	t.Helper()
	for id, users := range l.members {
		want := slices.Sorted(slices.Values(users))
		assert.EventuallyWithT(t, func(c *assert.CollectT) {
			var got []string
			for u, err := range client.AllMembers(t.Context(), id) {
				assert.NoError(c, err)
				got = append(got, u.ID)
			}
			assert.Equal(c, want, got)
		}, 10*time.Second, 50*time.Millisecond)
	}
}
