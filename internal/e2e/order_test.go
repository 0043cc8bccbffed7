package e2e_test

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
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// joins lets users join a room, one after the other.
func joins(t *testing.T, b *harness.Bus, roomID string, users ...string) {
	t.Helper()
	for _, u := range users {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: room.User{ID: u}})
		require.NoError(t, err)
	}
}

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
				joins(t, b, id, "alice")
				_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: id, User: alice})
				assert.NoError(t, err)
			}
		})
	}
	members.Wait()
	require.Eventually(t, func() bool { return l.handled() == rooms*events }, replyTime, tick)
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
			saw, release := newSeen[string](), make(chan struct{})
			b.Work(t, room.Manifest{ID: "ledger", Unordered: unordered}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
				if e.JoiningUser.ID == "slow" {
					<-release
				}
				saw.see(e.Room.ID + " " + e.JoiningUser.ID)
				return nil
			}})
			joins(t, b, "r", "slow", "alice")
			if unordered {
				assert.Equal(t, "r alice", saw.one(t))
			}
			joins(t, b, "s", "alice", "bob")
			assert.ElementsMatch(t, []string{"s alice", "s bob"}, []string{saw.one(t), saw.one(t)})
			close(release)
			assert.Equal(t, "r slow", saw.one(t))
			if !unordered {
				assert.Equal(t, "r alice", saw.one(t))
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
	victim := workerProcess(t, b, m)
	joins(t, b, "r", held.ID)
	victim.Stdout.Await(t, "told of held, attempt 1")

	type told struct {
		user    string
		attempt int
	}
	saw := newSeen[told]()
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
		saw.see(told{e.JoiningUser.ID, appworker.Attempt(ctx)})
		return nil
	}})
	joins(t, b, "r", "alice", "bob")
	victim.Signal(syscall.SIGKILL)
	assert.Equal(t, told{held.ID, 2}, saw.one(t))
	assert.Equal(t, "alice", saw.one(t).user)
	assert.Equal(t, "bob", saw.one(t).user)
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
	saw, release := newSeen[string](), make(chan struct{})
	for range 2 {
		b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			saw.see(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
			<-release
			return ctx.Err()
		}})
	}
	joins(t, b, "r", "alice", "bob")
	assert.Equal(t, "alice 1", saw.one(t))
	threeTimes(t, b, time.Second)
	close(release)
	assert.Equal(t, "bob 1", saw.one(t))
	saw.none(t)
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
		joins(t, b, "r", "u"+strconv.Itoa(n))
	}
	attempts, release := newSeen[int](), make(chan struct{})
	work := func() {
		b.WorkWith(t, appworker.Config{Concurrency: handlers}, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, _ room.UserJoined) error {
			<-release
			attempts.see(appworker.Attempt(ctx))
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
	}, replyTime, tick, "the worker has some ahead")
	work()
	threeTimes(t, b, ackWait)
	close(release)
	for range events {
		assert.Equal(t, 1, attempts.one(t))
	}
	attempts.none(t)
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
	saw, release := newSeen[string](), make(chan struct{})
	m := room.Manifest{ID: "ledger"}
	stop := b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.see("first " + e.JoiningUser.ID)
		<-release
		return nil
	}})
	b.SetAckWait(t, "ledger", time.Hour) // another worker gets only returned events
	joins(t, b, "r", "alice", "bob", "carol")
	require.Equal(t, "first alice", saw.one(t))
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.see("second " + e.JoiningUser.ID)
		return nil
	}})
	saw.none(t)
	close(release)
	require.NoError(t, <-stopped)
	assert.Equal(t, "second bob", saw.one(t))
	assert.Equal(t, "second carol", saw.one(t))
}

// A later version that implements more interfaces does not wait for older events, which it never
// gets.
func TestOrder_LaterVersionGetsNewInterfaces(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := newSeen[string]()
	joined := appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.see("join " + e.JoiningUser.ID)
		return nil
	}}
	stop := b.Work(t, room.Manifest{ID: "ledger", Version: "1.0.0"}, joined)
	joins(t, b, "r", "alice")
	assert.Equal(t, "join alice", saw.one(t))
	_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: alice})
	require.NoError(t, err)
	joins(t, b, "r", "bob")
	assert.Equal(t, "join bob", saw.one(t), "the consumer is past the leave")
	require.NoError(t, stop())
	joins(t, b, "r", "held")
	stop = b.Work(t, room.Manifest{ID: "ledger", Version: "2.0.0"}, joined,
		appworker.Handlers{PostRoomUserLeave: func(_ context.Context, e room.UserLeft) error {
			saw.see("leave " + e.LeavingUser.ID)
			return nil
		}})
	assert.Equal(t, "join held", saw.one(t))
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: held})
	require.NoError(t, err)
	assert.Equal(t, "leave held", saw.one(t))
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
	saw := newSeen[string]()
	m := room.Manifest{ID: "ledger", Version: "1.0.0", MaxAttempts: new(1)}
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.see(e.JoiningUser.ID)
		return nil
	}})
	m.Version, m.Implements = "2.0.0", []room.Interface{room.PostRoomUserJoined, room.PostRoomUserLeave}
	b.Register(t, m)
	joins(t, b, "r", "alice")
	assert.Equal(t, "alice", saw.one(t))
	_, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: alice})
	require.NoError(t, err)
	joins(t, b, "r", "bob")
	letters, _ := deadLetters(t, b, 1)
	assert.Equal(t, room.EventUserLeave, letters[0].Event)
	assert.Equal(t, "bob", saw.one(t))
}

// A handler that ignores the end of its context does not keep its event from other workers.
func TestOrder_HangingHandlerLosesItsEvent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw, release := newSeen[string](), make(chan struct{})
	m := room.Manifest{ID: "ledger", Version: "1.0.0", Implements: []room.Interface{room.PostRoomUserJoined}}
	b.Register(t, m)
	b.SetAckWait(t, "ledger", time.Second)
	for range 2 {
		b.WorkWith(t, appworker.Config{HandlerTimeout: 100 * time.Millisecond}, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			saw.see(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
			if appworker.Attempt(ctx) == 1 {
				<-release
			}
			return nil
		}})
	}
	t.Cleanup(func() { close(release) })
	joins(t, b, "r", "alice")
	assert.Equal(t, "alice 1", saw.one(t))
	assert.Regexp(t, "alice [2-9]", saw.one(t))
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
	saw := newSeen[string]()
	b.WorkWith(t, appworker.Config{Concurrency: 1}, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
		saw.see(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
		if appworker.Attempt(ctx) == 1 && e.JoiningUser.ID == "alice" {
			runtime.Goexit()
		}
		return nil
	}})
	joins(t, b, "r", "alice", "bob")
	assert.Equal(t, "alice 1", saw.one(t))
	assert.Regexp(t, "alice [2-9]", saw.one(t))
	assert.Equal(t, "bob 1", saw.one(t))
}

// An event that waits in line while workers come and go uses no attempt.
func TestOrder_WaitingIsNoAttempt(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	m := room.Manifest{ID: "ledger", MaxAttempts: new(2)}
	const restarts = 3
	saw := newSeen[string]()
	for n := range restarts {
		begun, release := make(chan struct{}, 1), make(chan struct{})
		stop := b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
			saw.see(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
			begun <- struct{}{}
			<-release
			return nil
		}})
		if n == 0 {
			joins(t, b, "r", "u0", "u1", "u2", "u3", "u4")
		}
		<-begun
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		handedBack(t, b, "ledger")
		close(release)
		require.NoError(t, <-stopped)
		require.True(t, strings.HasPrefix(saw.one(t), "u"+strconv.Itoa(n)))
	}
	b.Work(t, m, appworker.Handlers{PostRoomUserJoined: func(ctx context.Context, e room.UserJoined) error {
		saw.see(e.JoiningUser.ID + " " + strconv.Itoa(appworker.Attempt(ctx)))
		return nil
	}})
	assert.True(t, strings.HasPrefix(saw.one(t), "u3"))
	assert.Equal(t, "u4 1", saw.one(t), "the same worker held it while the previous event ran")
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
	}, replyTime, tick, "it asks for no more")
}
