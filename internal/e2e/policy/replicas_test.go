package policy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// threeReplicas are processes of one essential app.
func threeReplicas(t *testing.T, b *harness.Bus) []*harness.Process {
	t.Helper()
	join := []room.Interface{room.PreRoomUserJoined}
	var replicas []*harness.Process
	for range 3 {
		replicas = append(replicas, scene.WorkerProcess(t, b, room.Manifest{ID: "guard", Implements: join, Essentials: join, TimeoutMs: new(2000)}))
	}
	return replicas
}

// crowd is users that join rooms, several at once, each to a separate room.
type crowd struct {
	name   string
	joins  int
	atOnce int
	during func(joined int) // called after each join
}

// join lets the crowd join. No join may be blocked, and none may pass without a verdict.
func (c crowd) join(t *testing.T, b *harness.Bus) {
	t.Helper()
	var joining sync.WaitGroup
	var joined atomic.Int64
	took := make([][]float64, c.atOnce)
	for k := range c.atOnce {
		roomID := fmt.Sprintf("%s-%d", c.name, k)
		b.Create(t, roomID)
		joining.Go(func() {
			for n := k; n < c.joins; n += c.atOnce {
				r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: room.User{ID: fmt.Sprintf("%s-%d", c.name, n)}})
				if !assert.NoError(t, err) || !assert.Len(t, r.Apps, 1) {
					return
				}
				assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
				took[k] = append(took[k], r.Apps[0].Ms)
				now := int(joined.Add(1))
				if c.during != nil {
					c.during(now)
				}
			}
		})
	}
	joining.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	require.Len(t, all, c.joins)
	t.Logf("%d joins, %d at once: p50 %.1f ms, p99 %.1f ms, %d retried so far",
		c.joins, c.atOnce, all[len(all)/2], all[len(all)*99/100], retried(t, b, "guard"))
}

// retried returns the number of requests to an app that also went to another worker.
func retried(t *testing.T, b *harness.Bus, app string) uint64 {
	t.Helper()
	a, err := b.Client.App(t.Context(), app)
	require.NoError(t, err)
	return a.State.Retried
}

// One replica of three hangs. The others are asked in time. When it continues, it takes part again.
func TestReplicas_HangingReplicaBlocksNoCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []crowd{{name: "single", joins: 20, atOnce: 1}, {name: "parallel", joins: 200, atOnce: 20}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			stopped := threeReplicas(t, b)[0]
			stopped.Stop()
			c.join(t, b)
			assert.Positive(t, retried(t, b, "guard"))
			stopped.Signal(syscall.SIGCONT)
			b.Create(t, "after")
			for n := 0; !strings.Contains(stopped.Stdout.String(), "asked about after"); n++ { // it may have to reconnect
				_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "after", User: room.User{ID: "after" + strconv.Itoa(n)}})
				require.NoError(t, err)
			}
			assert.Zero(t, b.EndpointData(t).LateVerdicts, "a pre-event that another worker has answered is finished")
		})
	}
}

// One replica of three is killed with requests in flight to it.
func TestReplicas_KilledReplicaBlocksNoCommand(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	victim := threeReplicas(t, b)[0]
	crowd{name: "users", joins: 200, atOnce: 10, during: func(joined int) {
		switch joined {
		case 50:
			victim.Stop() // so that it holds some requests
		case 100:
			victim.Signal(syscall.SIGKILL)
		}
	}}.join(t, b)
	assert.Equal(t, -1, victim.Wait())
	assert.Positive(t, retried(t, b, "guard"))
}

// A worker of the SDK ignores a retry of a pre-event that it is already handling.
func TestReplicas_RetryIsNotDecidedTwice(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	var decided atomic.Int64
	decide := make(chan struct{})
	b.Work(t, room.Manifest{ID: "slow", TimeoutMs: new(2000)}, appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
		if e.JoiningUser.ID == "alice" {
			decided.Add(1)
			<-decide
		}
		return nil
	}})
	retries, err := b.NC.SubscribeSync("room.pre.userjoin.slow.retry")
	require.NoError(t, err)
	joining := scene.Joining(t, b, "r", scene.Alice)
	retry, err := retries.NextMsg(harness.ReplyTime)
	require.NoError(t, err)
	// Another pre-event is decided at once.
	reply, err := b.NC.RequestMsg(&nats.Msg{
		Subject: retry.Subject, Header: nats.Header{"ce-id": {"another"}}, Data: []byte(`{"room":{},"joiningUser":{"id":"bob"}}`),
	}, harness.ReplyTime)
	require.NoError(t, err)
	assert.JSONEq(t, `{"verdict":"allow"}`, string(reply.Data))
	close(decide)
	r, err := joining.Wait(t)
	require.NoError(t, err)
	assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
	assert.EqualValues(t, 1, decided.Load())
	assert.EqualValues(t, 1, retried(t, b, "slow"))
}

// A plain worker does not subscribe to the retry subject. It is asked again on the first subject.
func TestReplicas_PlainWorkerIsAskedTwice(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "plain", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(1000)})
	asked, err := b.NC.QueueSubscribeSync("room.pre.userjoin.plain", "plain")
	require.NoError(t, err)
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("cmd"))
	require.NoError(t, err)
	assert.Equal(t, room.TimedOut, r.Apps[0].Outcome)
	first, err := asked.NextMsg(harness.ReplyTime)
	require.NoError(t, err)
	second, err := asked.NextMsg(harness.ReplyTime)
	require.NoError(t, err)
	for _, msg := range []*nats.Msg{first, second} {
		assert.Equal(t, "room.pre.userjoin.plain", msg.Subject)
		assert.Equal(t, "cmd", msg.Header.Get("ce-id"))
	}
	assert.Equal(t, first.Data, second.Data)
	assert.NotEqual(t, first.Reply, second.Reply)
	assert.Equal(t, "1000", first.Header.Get("Room-Timeout-Ms"))
	assert.LessOrEqual(t, subjects.TimeLeft(second.Header, time.Hour), 500*time.Millisecond)
	left, _, err := asked.Pending()
	require.NoError(t, err)
	assert.Zero(t, left)
}

// A replica that answers "unavailable" is skipped at once, even if it does so again before the
// other one answers.
func TestReplicas_UnavailableReplicaIsSkipped(t *testing.T) {
	t.Parallel()
	for name, essentials := range map[string][]room.Interface{"optional": nil, "essential": {room.PreRoomUserJoined}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := scene.Patient(t, roomsvc.Config{})
			b.Create(t, "r")
			m := room.Manifest{ID: "app", Essentials: essentials, TimeoutMs: new(room.MaxTimeoutMs)}
			declines := newCounter()
			_, err := b.NC.Subscribe("_INBOX.>", func(msg *nats.Msg) {
				if msg.Header.Get("Nats-Service-Error-Code") == "503" {
					declines.add()
				}
			})
			require.NoError(t, err)
			var before atomic.Int64 // declines, before the join
			var asked atomic.Value  // the user of the last pre-event at the declining replica
			b.Work(t, m, appworker.Handlers{PreRoomUserJoined: func(_ context.Context, e room.UserJoin) error {
				asked.Store(e.JoiningUser.ID)
				return appworker.Unavailable(errors.New("no database"))
			}})
			b.Work(t, m, appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, e room.UserJoin) error {
				if asked.Load() == e.JoiningUser.ID {
					declines.await(ctx, int(before.Load())+2)
				}
				return nil
			}})
			for n := range 20 {
				before.Store(int64(declines.count()))
				r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: strconv.Itoa(n)}})
				require.NoError(t, err)
				require.Equal(t, room.Allowed, r.Apps[0].Outcome, r.Apps[0].Reason)
				assert.Less(t, r.Apps[0].Ms, room.MaxTimeoutMs/2.0, "the answer comes before the retry at half the timeout")
			}
			assert.Positive(t, retried(t, b, "app"))
		})
	}
}

// counter is a counter to wait for.
type counter struct {
	mu   sync.Mutex
	n    int
	more chan struct{} // closed and replaced at every change
}

func newCounter() *counter { return &counter{more: make(chan struct{})} }

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	close(c.more)
	c.more = make(chan struct{})
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// await returns when the counter has reached n, or when the context ends.
func (c *counter) await(ctx context.Context, n int) {
	for {
		c.mu.Lock()
		enough, more := c.n >= n, c.more
		c.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}

// Without another replica, the answer "unavailable" stands.
func TestReplicas_OnlyReplicaIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, essentials := range map[string][]room.Interface{"optional": nil, "essential": {room.PreRoomUserJoined}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			b.Work(t, room.Manifest{ID: "app", Essentials: essentials, TimeoutMs: new(1000)},
				appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
					return appworker.Unavailable(errors.New("no database"))
				}})
			r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
			if essentials != nil {
				e := scene.ErrorOf(t, err)
				assert.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
				r.Apps = e.Apps
			} else {
				require.NoError(t, err)
			}
			require.Len(t, r.Apps, 1)
			assert.Equal(t, room.Failed, r.Apps[0].Outcome)
			assert.Equal(t, "unavailable: no database", r.Apps[0].Reason)
		})
	}
}
