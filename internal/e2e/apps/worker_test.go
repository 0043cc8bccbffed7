package apps_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// Workers come and go under load. An essential app with at least one worker answers every
// pre-event.
func TestWorker_RollingRestartLosesNoVerdict(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	m := room.Manifest{ID: "guard", Essentials: []room.Interface{room.PreRoomUserJoined}}
	allow := appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }}
	stop := b.Work(t, m, allow)

	ctx, cancel := context.WithCancel(t.Context())
	var joiners sync.WaitGroup
	var joined atomic.Int64
	for k := range 8 {
		joiners.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: fmt.Sprintf("u-%d-%d", k, n)}})
				if !assert.NoError(t, err) {
					return
				}
				joined.Add(1)
			}
		})
	}
	for range 10 {
		next := b.Work(t, m, allow) // the next one starts before the last one stops
		before := joined.Load()
		require.Eventually(t, func() bool { return joined.Load() > before+20 }, harness.ReplyTime, time.Millisecond)
		require.NoError(t, stop())
		stop = next
	}
	cancel()
	joiners.Wait()
	for _, e := range b.Decoded(t)[1:] {
		require.Equal(t, room.Allowed, e.Data.Apps[0].Outcome)
	}
}

// A stopping worker finishes the handlers in progress.
func TestWorker_DrainFinishesHandlers(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: time.Minute})
	b.Create(t, "r")
	begun, finish := make(chan struct{}), make(chan struct{})
	stop := b.Work(t, room.Manifest{ID: "slow", TimeoutMs: new(10_000)},
		appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
			close(begun)
			<-finish
			return room.UserNotAllowed("to the end")
		}})
	refused := make(chan error, 1)
	go func() {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
		refused <- err
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// It accepts no new pre-events: the next join finds no responders.
	require.Eventually(t, func() bool {
		other, err := b.Client.Create(t.Context(), harness.NewRoom("s"+strconv.Itoa(int(time.Now().UnixNano()))))
		require.NoError(t, err)
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: other.Room.ID, User: scene.Alice}, roomclient.WithID(other.Room.ID))
		require.NoError(t, err)
		return r.Apps[0].Outcome == room.Unavailable
	}, harness.ReplyTime, 5*time.Millisecond)
	select {
	case err := <-stopped:
		t.Fatalf("it ended before its handler, with %v", err)
	default:
	}
	close(finish)
	assert.Equal(t, "to the end", scene.ErrorOf(t, <-refused).Reason)
	require.NoError(t, <-stopped)
}

func TestWorker_PanicIsAFailure(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	log := harness.NewOutput()
	logger := slog.New(slog.NewTextHandler(log, nil))
	b.WorkWith(t, appworker.Config{Logger: logger}, room.Manifest{ID: "fragile"},
		appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
			if e.JoiningUser.ID == "bob" {
				panic("boom")
			}
			return nil
		}})
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
	require.NoError(t, err)
	assert.Equal(t, room.Failed, r.Apps[0].Outcome)
	assert.Regexp(t, `^panic: boom \(worker_test.go:\d+\)$`, r.Apps[0].Reason, "the stack stays in the log")
	r, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
	assert.Contains(t, log.String(), "worker_test.go", "the log has the stack")
}

// The result of a pre-event handler is recorded.
func TestHandler_Results(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	returns := map[string]error{
		"allow": nil,
		"skip":  fmt.Errorf("another time: %w", appworker.ErrSkip),
		"deny":  fmt.Errorf("wrapped: %w", room.UserNotAllowed("no")),
		"fail":  errors.New("the\r\ndatabase is down"),
	}
	b.Work(t, room.Manifest{ID: "app"}, appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, e room.UserJoin) error {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Second {
			return errors.New("the context has not the real deadline")
		}
		return returns[e.JoiningUser.ID]
	}})
	for user, want := range map[string]room.Outcome{"allow": room.Allowed, "skip": room.Skipped, "fail": room.Failed} {
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: user}})
		require.NoError(t, err)
		assert.Equal(t, want, r.Apps[0].Outcome, r.Apps[0].Reason)
		if user == "fail" {
			assert.Equal(t, "the database is down", r.Apps[0].Reason)
		}
	}
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "deny"}})
	assert.Equal(t, "no", scene.ErrorOf(t, err).Reason)
}

// A pre-event whose reply subject is no inbox is not handled.
func TestWorker_VerdictsOnlyToInboxes(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[string]()
	b.Work(t, room.Manifest{ID: "app"}, appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
		saw.See(e.JoiningUser.ID)
		return nil
	}})
	require.NoError(t, b.NC.PublishRequest("room.pre.userjoin.app", "room.post.userjoin.r", []byte(`{"room":{},"joiningUser":{"id":"evil"}}`)))
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	assert.Equal(t, "alice", saw.One(t))
	saw.None(t)
	assert.Len(t, b.Events(t), 2)
}

func TestHandler_CallsTheRoomService(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "lobby")
	b.Create(t, "r")
	b.Work(t, room.Manifest{ID: "usher"}, appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, e room.UserJoin) error {
		if e.Room.ID == "lobby" {
			return nil
		}
		page, err := appworker.Rooms(ctx).Members(ctx, room.MembersRequest{RoomID: "lobby"})
		if err != nil {
			return err
		}
		for _, u := range page.Members {
			if u.ID == e.JoiningUser.ID {
				return nil
			}
		}
		_, err = appworker.Rooms(ctx).Join(ctx, room.JoinRequest{RoomID: "lobby", User: e.JoiningUser})
		if err != nil {
			return err
		}
		appworker.Warn(ctx, "you are in the lobby now too")
		return nil
	}})
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	assert.Equal(t, []string{"you are in the lobby now too"}, r.Warnings)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "lobby"))
}

func TestPostEventOutcomes(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	handled := scene.NewSeen[string]()
	var tries atomic.Int64
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		switch e.JoiningUser.ID {
		case "later":
			if tries.Add(1) < 3 {
				return appworker.RetryLater(10*time.Millisecond, errors.New("not yet"))
			}
		case "never":
			handled.See("never, tried")
			return appworker.Discard(errors.New("cannot be"))
		case "panics":
			if tries.Add(1) == 4 {
				panic("once")
			}
		}
		handled.See(e.JoiningUser.ID)
		return nil
	}})
	for _, c := range []struct{ user, want string }{{"later", "later"}, {"never", "never, tried"}, {"panics", "panics"}} {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: c.user}})
		require.NoError(t, err)
		assert.Equal(t, c.want, handled.One(t))
	}
	assert.Equal(t, int64(5), tries.Load(), "three retries, two panics")
	b.RequireDrained(t, "ledger")
	handled.None(t) // a discarded event is not redelivered
}

// Events that happen while no worker runs wait for the next one.
func TestWorker_EventsWaitForIt(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[string]()
	see := appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID)
		return nil
	}}
	require.NoError(t, b.Work(t, room.Manifest{ID: "ledger"}, see)())
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	b.Work(t, room.Manifest{ID: "ledger"}, see)
	assert.Equal(t, "alice", saw.One(t))
}

// A handler that does not end is abandoned when the drain time is over, also if more events wait
// for its slot.
func TestWorker_DrainEndsInTime(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	begun, never := make(chan struct{}, 10), make(chan struct{})
	t.Cleanup(func() { close(never) })
	stop := b.WorkWith(t, appworker.Config{Concurrency: 1, DrainTimeout: 50 * time.Millisecond}, room.Manifest{ID: "stuck"},
		appworker.Handlers{PostRoomCreate: func(context.Context, room.Created) error {
			begun <- struct{}{}
			<-never
			return nil
		}})
	for _, id := range []string{"a", "b", "c"} {
		b.Create(t, id)
	}
	<-begun
	require.ErrorContains(t, stop(), "still running")
	assert.Empty(t, begun)
}

// A worker may be started before the room service.
func TestWorker_WaitsForTheService(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- appworker.Run(ctx, appworker.Config{Conn: harness.Connect(t, server), Logger: harness.Log(t), OnReady: func() { close(ready) }},
			room.Manifest{ID: "early", Version: "1.0.0"}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }})
	}()
	harness.Serve(t, harness.Connect(t, server), roomsvc.Config{})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("ended before it was ready: %v", err)
	}
	cancel()
	require.NoError(t, <-ended)
}

func TestRun_InvalidAppIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	join := appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return nil }}
	good := room.Manifest{ID: "a", Version: "1.0.0"}
	for says, c := range map[string]struct {
		m        room.Manifest
		handlers []any
	}{
		"none":                  {good, []any{struct{}{}}},
		"implemented twice":     {good, []any{join, join}},
		"no handler implements": {room.Manifest{ID: "a", Version: "1.0.0", Implements: []room.Interface{room.PostRoomCreate}}, []any{join}},
		"implements is requir":  {good, nil},
		"version is required":   {room.Manifest{ID: "a"}, []any{join}},
	} {
		err := appworker.Run(t.Context(), appworker.Config{Conn: b.NC}, c.m, c.handlers...)
		assert.ErrorContains(t, err, says)
	}
}

func TestWorker_ConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	var running, most atomic.Int64
	enough := make(chan struct{})
	b.WorkWith(t, appworker.Config{Concurrency: 2}, room.Manifest{ID: "narrow", TimeoutMs: new(10_000)},
		appworker.Handlers{PreRoomCreatePrevent: func(context.Context, room.Create) error {
			now := running.Add(1)
			defer running.Add(-1)
			for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
			}
			if now == 2 {
				select {
				case <-enough:
				default:
					close(enough)
				}
			}
			<-enough
			return nil
		}})
	var creations sync.WaitGroup
	for n := range 20 {
		creations.Go(func() { b.Create(t, "r"+strconv.Itoa(n)) })
	}
	creations.Wait()
	assert.Equal(t, int64(2), most.Load())
}
