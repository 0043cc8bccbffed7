package delivery_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// ledger records the order in which the events of rooms were handled, by any worker.
type ledger struct {
	mu       sync.Mutex
	busy     map[string]bool
	versions map[string][]uint64
	overlaps int
	count    int
}

func newLedger() *ledger {
	return &ledger{busy: make(map[string]bool), versions: make(map[string][]uint64)}
}

func (l *ledger) begin(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[id] {
		l.overlaps++
	}
	l.busy[id] = true
}

func (l *ledger) end(id string, version uint64, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[id] = false
	if done {
		l.versions[id] = append(l.versions[id], version)
		l.count++
	}
}

func (l *ledger) handled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// The events of a room are handled one after the other and in order, over several workers, although
// many are retried.
func TestOrder_EventsOfARoom(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	l := newLedger()
	handle := func(e room.EventRef, r room.Room) error {
		l.begin(r.ID)
		if rand.IntN(4) == 0 {
			l.end(r.ID, e.Version, false)
			return appworker.RetryLater(time.Duration(rand.IntN(20))*time.Millisecond, errors.New("not yet"))
		}
		l.end(r.ID, e.Version, true)
		return nil
	}
	for range 3 {
		b.WorkWith(t, appworker.Config{Concurrency: 4}, room.Manifest{ID: "ledger", MaxAttempts: new(1000)},
			appworker.Handlers{
				PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error { return handle(e.Event, e.Room) },
				PostRoomUserLeave:  func(_ context.Context, e room.UserLeft) error { return handle(e.Event, e.Room) },
			})
	}
	const rooms, events = 5, 40
	var members sync.WaitGroup
	for n := range rooms {
		members.Go(func() {
			id := "r" + strconv.Itoa(n)
			b.Create(t, id)
			for range events / 2 {
				scene.JoinEach(t, b, id, "alice")
				_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: id, User: scene.Alice})
				assert.NoError(t, err)
			}
		})
	}
	members.Wait()
	require.Eventually(t, func() bool { return l.handled() == rooms*events }, harness.ReplyTime, harness.Tick)
	assert.Zero(t, l.overlaps, "of one room, one at a time")
	for id, versions := range l.versions {
		for n, v := range versions {
			require.Equal(t, uint64(n+2), v, "room %s: %v", id, versions)
		}
	}
}

// A slow event holds up only its room, and nothing if the app is unordered.
func TestOrder_RoomsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	for name, unordered := range map[string]bool{"ordered": false, "unordered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			b.Create(t, "s")
			saw, release := scene.NewSeen[string](), make(chan struct{})
			b.Work(t, room.Manifest{ID: "ledger", Unordered: unordered}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
				if e.JoiningUser.ID == "slow" {
					<-release
				}
				saw.See(e.Room.ID + " " + e.JoiningUser.ID)
				return nil
			}})
			scene.JoinEach(t, b, "r", "slow", "alice")
			if unordered {
				assert.Equal(t, "r alice", saw.One(t))
			}
			scene.JoinEach(t, b, "s", "alice", "bob")
			assert.ElementsMatch(t, []string{"s alice", "s bob"}, []string{saw.One(t), saw.One(t)})
			close(release)
			assert.Equal(t, "r slow", saw.One(t))
			if !unordered {
				assert.Equal(t, "r alice", saw.One(t))
			}
		})
	}
}

// The events of a killed worker go to another worker. Later events of their rooms wait for them.
func TestOrder_SurvivesAWorkerCrash(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	m := room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomUserJoined}}
	b.Register(t, m)
	b.SetAckWait(t, "ledger", 2*time.Second)
	victim := scene.WorkerProcess(t, b, m)
	scene.JoinEach(t, b, "r", scene.Held.ID)
	victim.Stdout.Await(t, "told of held, attempt 1")

	type told struct {
		user    string
		attempt int
	}
	saw := scene.NewSeen[told]()
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
		saw.See(told{e.JoiningUser.ID, appworker.Attempt(ctx)})
		return nil
	}})
	scene.JoinEach(t, b, "r", "alice", "bob")
	victim.Signal(syscall.SIGKILL)
	assert.Equal(t, told{scene.Held.ID, 2}, saw.One(t))
	assert.Equal(t, "alice", saw.One(t).user)
	assert.Equal(t, "bob", saw.One(t).user)
}

// If a handler takes longer than the ack wait, neither its event nor the events behind it go to
// another worker.
func TestOrder_LongHandlerKeepsItsEvent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	m := room.Manifest{ID: "slow", Version: "1.0.0", Implements: []room.Interface{room.PostRoomUserJoined}}
	b.Register(t, m)
	b.SetAckWait(t, "slow", time.Second)
	b.Create(t, "r")
	saw, release := scene.NewSeen[string](), make(chan struct{})
	for range 2 {
		b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			saw.See(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
			<-release
			return ctx.Err()
		}})
	}
	scene.JoinEach(t, b, "r", "alice", "bob")
	assert.Equal(t, "alice 1", saw.One(t))
	threeTimes(t, b, time.Second)
	close(release)
	assert.Equal(t, "bob 1", saw.One(t))
	saw.None(t)
}

// Events that wait for a free handler do not go to another worker either.
func TestOrder_QueuedEventsStayWithTheWorker(t *testing.T) {
	t.Parallel()
	const handlers, events, ackWait = 4, 8, 3 * time.Second
	b := harness.New(t, roomsvc.Config{})
	m := room.Manifest{ID: "narrow", Version: "1.0.0", Unordered: true, Implements: []room.Interface{room.PostRoomUserJoined}}
	b.Register(t, m)
	b.SetAckWait(t, "narrow", ackWait)
	b.Create(t, "r")
	for n := range events {
		scene.JoinEach(t, b, "r", "u"+strconv.Itoa(n))
	}
	attempts, release := scene.NewSeen[int](), make(chan struct{})
	work := func() {
		b.WorkWith(t, appworker.Config{Concurrency: handlers}, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, _ room.UserJoined) error {
			<-release
			attempts.See(appworker.Attempt(ctx))
			return nil
		}})
	}
	work()
	consumer, err := b.JS.Consumer(t.Context(), "ROOM_EVENTS", "narrow")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := consumer.Info(t.Context())
		require.NoError(t, err)
		return info.NumAckPending > handlers
	}, harness.ReplyTime, harness.Tick, "the worker has some ahead")
	work()
	threeTimes(t, b, ackWait)
	close(release)
	for range events {
		assert.Equal(t, 1, attempts.One(t))
	}
	attempts.None(t)
}

// threeTimes returns when an unacknowledged event has been delivered three times, that wait apart.
// It is a clock that runs in the server.
func threeTimes(t *testing.T, b *harness.Bus, wait time.Duration) {
	t.Helper()
	consumer, err := b.JS.CreateConsumer(t.Context(), "ROOM_EVENTS", jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, AckWait: wait})
	require.NoError(t, err)
	for delivered := uint64(0); delivered < 3; {
		msg, err := consumer.Next()
		require.NoError(t, err)
		meta, err := msg.Metadata()
		require.NoError(t, err)
		delivered = meta.NumDelivered
	}
}

// A stopping worker returns the events that it has not begun.
func TestOrder_StoppingWorkerReturnsQueuedEvents(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw, release := scene.NewSeen[string](), make(chan struct{})
	m := room.Manifest{ID: "ledger"}
	stop := b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See("first " + e.JoiningUser.ID)
		<-release
		return nil
	}})
	b.SetAckWait(t, "ledger", time.Hour) // another worker gets only returned events
	scene.JoinEach(t, b, "r", "alice", "bob", "carol")
	require.Equal(t, "first alice", saw.One(t))
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See("second " + e.JoiningUser.ID)
		return nil
	}})
	saw.None(t)
	close(release)
	require.NoError(t, <-stopped)
	assert.Equal(t, "second bob", saw.One(t))
	assert.Equal(t, "second carol", saw.One(t))
}

// A later version that implements more interfaces does not wait for older events, which it never
// gets.
func TestOrder_LaterVersionGetsNewInterfaces(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[string]()
	joined := appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See("join " + e.JoiningUser.ID)
		return nil
	}}
	stop := b.Work(t, room.Manifest{ID: "ledger", Version: "1.0.0"}, joined)
	scene.JoinEach(t, b, "r", "alice")
	assert.Equal(t, "join alice", saw.One(t))
	_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	scene.JoinEach(t, b, "r", "bob")
	assert.Equal(t, "join bob", saw.One(t), "the consumer is past the leave")
	require.NoError(t, stop())
	scene.JoinEach(t, b, "r", "held")
	stop = b.Work(t, room.Manifest{ID: "ledger", Version: "2.0.0"}, joined,
		appworker.Handlers{PostRoomUserLeave: func(_ context.Context, e room.UserLeft) error {
			saw.See("leave " + e.LeavingUser.ID)
			return nil
		}})
	assert.Equal(t, "join held", saw.One(t))
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Held})
	require.NoError(t, err)
	assert.Equal(t, "leave held", saw.One(t))
	require.NoError(t, stop())
	consumer, err := b.JS.Consumer(t.Context(), "ROOM_EVENTS", "ledger")
	require.NoError(t, err)
	assert.Equal(t, "5", consumer.CachedInfo().Config.Metadata["roombus.behind.userleave"])
	assert.NotContains(t, consumer.CachedInfo().Config.Metadata, "roombus.behind.userjoin")
}

// During the change from an earlier to a later version, a worker of the earlier version skips no
// event that it does not implement. The event is neither done nor overtaken.
func TestOrder_EarlierVersionSkipsNoEvent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[string]()
	m := room.Manifest{ID: "ledger", Version: "1.0.0", MaxAttempts: new(1)}
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID)
		return nil
	}})
	m.Version, m.Implements = "2.0.0", []room.Interface{room.PostRoomUserJoined, room.PostRoomUserLeave}
	b.Register(t, m)
	scene.JoinEach(t, b, "r", "alice")
	assert.Equal(t, "alice", saw.One(t))
	_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	scene.JoinEach(t, b, "r", "bob")
	letters, _ := scene.DeadLetters(t, b, 1)
	assert.Equal(t, room.EventUserLeave, letters[0].Event)
	assert.Equal(t, "bob", saw.One(t))
}

// A handler that ignores the end of its context does not keep its event from other workers.
func TestOrder_HangingHandlerLosesItsEvent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw, release := scene.NewSeen[string](), make(chan struct{})
	m := room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomUserJoined}}
	b.Register(t, m)
	b.SetAckWait(t, "ledger", time.Second)
	for range 2 {
		b.WorkWith(t, appworker.Config{HandlerTimeout: 100 * time.Millisecond}, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			saw.See(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
			if appworker.Attempt(ctx) == 1 {
				<-release
			}
			return nil
		}})
	}
	t.Cleanup(func() { close(release) })
	scene.JoinEach(t, b, "r", "alice")
	assert.Equal(t, "alice 1", saw.One(t))
	assert.Regexp(t, "alice [2-9]", saw.One(t))
}

// A handler that ends its goroutine, as a test's FailNow does, has not handled the event. The event
// is redelivered, and the worker continues.
func TestOrder_HandlerEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	m := room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomUserJoined}}
	b.Register(t, m)
	b.SetAckWait(t, "ledger", time.Second)
	saw := scene.NewSeen[string]()
	b.WorkWith(t, appworker.Config{Concurrency: 1}, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
		if appworker.Attempt(ctx) == 1 && e.JoiningUser.ID == "alice" {
			runtime.Goexit()
		}
		return nil
	}})
	scene.JoinEach(t, b, "r", "alice", "bob")
	assert.Equal(t, "alice 1", saw.One(t))
	assert.Regexp(t, "alice [2-9]", saw.One(t))
	assert.Equal(t, "bob 1", saw.One(t))
}

// An event that waits in line while workers come and go uses no attempt.
func TestOrder_WaitingIsNoAttempt(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	m := room.Manifest{ID: "ledger", MaxAttempts: new(2)}
	const restarts = 3
	saw := scene.NewSeen[string]()
	for n := range restarts {
		begun, release := make(chan struct{}, 1), make(chan struct{})
		stop := b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			saw.See(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
			begun <- struct{}{}
			<-release
			return nil
		}})
		if n == 0 {
			scene.JoinEach(t, b, "r", "u0", "u1", "u2", "u3", "u4")
		}
		<-begun
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		handedBack(t, b, "ledger")
		close(release)
		require.NoError(t, <-stopped)
		require.True(t, strings.HasPrefix(saw.One(t), "u"+strconv.Itoa(n)))
	}
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
		return nil
	}})
	assert.True(t, strings.HasPrefix(saw.One(t), "u3"))
	assert.Equal(t, "u4 1", saw.One(t), "the same worker held it while the previous event ran")
	b.RequireDrained(t, "ledger")
	assert.Empty(t, b.Stored(t, "ROOM_DEAD_LETTERS"))
}

// handedBack waits until the workers hold only the event that has begun.
func handedBack(t *testing.T, b *harness.Bus, app string) {
	t.Helper()
	consumer, err := b.JS.Consumer(t.Context(), "ROOM_EVENTS", app)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := consumer.Info(t.Context())
		require.NoError(t, err)
		return info.NumWaiting == 0
	}, harness.ReplyTime, harness.Tick, "it asks for no more")
}
