package policy_test

import (
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// fiftyRooms are rooms with a client each, whose user joins and leaves.
type fiftyRooms struct {
	b     *harness.Bus
	ids   []string
	in    []bool // whether the user is a member
	check func(t testing.TB, r room.Result)
}

func newFiftyRooms(t testing.TB, b *harness.Bus, check func(t testing.TB, r room.Result)) *fiftyRooms {
	t.Helper()
	const rooms = 50
	f := &fiftyRooms{b: b, in: make([]bool, rooms), check: check}
	for n := range rooms {
		f.ids = append(f.ids, "beside-"+strconv.Itoa(n))
		b.Create(t, f.ids[n])
	}
	return f
}

// do sends so many commands: those of one room one after the other, all rooms at once.
func (f *fiftyRooms) do(t testing.TB, commands int) {
	t.Helper()
	var clients sync.WaitGroup
	var begun atomic.Int64
	for n, id := range f.ids {
		clients.Go(func() {
			for ; begun.Add(1) <= int64(commands); f.in[n] = !f.in[n] {
				var r room.Result
				var err error
				if f.in[n] {
					r, err = f.b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: id, User: scene.Alice})
				} else {
					r, err = f.b.Client.Join(t.Context(), room.JoinRequest{RoomID: id, User: scene.Alice})
				}
				if !assert.NoError(t, err) || !assert.True(t, r.Changed) {
					return
				}
				f.check(t, r)
			}
		})
	}
	clients.Wait()
}

func outcomeIs(want room.Outcome) func(testing.TB, room.Result) {
	return func(t testing.TB, r room.Result) {
		if assert.Len(t, r.Apps, 1) {
			assert.Equal(t, want, r.Apps[0].Outcome, r.Apps[0].Reason)
		}
	}
}

// joinsAndLeaves is an optional app that is asked about both.
func joinsAndLeaves(timeout int) room.Manifest {
	return room.Manifest{ID: "app", Implements: []room.Interface{room.PreRoomUserJoined, room.PreRoomUserLeave}, TimeoutMs: new(timeout)}
}

// hangingFor makes an app that never answers about some rooms, and returns its pre-events about
// them.
func hangingFor(t testing.TB, b *harness.Bus, m room.Manifest, hangs func(roomID string) bool) <-chan *nats.Msg {
	t.Helper()
	b.Register(t, m)
	asked := make(chan *nats.Msg, 1000)
	for _, i := range m.Implements {
		b.Answer(t, i, m.ID, func(msg *nats.Msg) {
			if hangs(msg.Header.Get("ce-subject")) {
				asked <- msg
				return
			}
			_ = msg.Respond([]byte(`{"verdict":"allow"}`))
		})
	}
	return asked
}

func isHot(roomID string) bool { return roomID == "hot" }

// An app that hangs for the commands of one room holds up no other room.
func TestHangingApp_OtherRoomsContinue(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	b.Create(t, "hot")
	asked := hangingFor(t, b, joinsAndLeaves(room.MaxTimeoutMs), isHot)
	beside := newFiftyRooms(t, b, outcomeIs(room.Allowed))

	hot := joiningHot(t, b)
	held := <-asked
	beside.do(t, 1000)
	for _, p := range hot {
		p.NotYet(t)
	}
	assert.Empty(t, asked, "one command of a room at a time")
	letIn(t, hot, held, asked)
}

// joiningHot sends joins to room hot, each of which waits for the joins before it.
func joiningHot(t testing.TB, b *harness.Bus) []scene.Pending {
	t.Helper()
	var all []scene.Pending
	for n := range 20 {
		all = append(all, scene.Joining(t, b, "hot", room.User{ID: strconv.Itoa(n)}))
	}
	return all
}

// letIn answers the held pre-event and the following ones.
func letIn(t testing.TB, hot []scene.Pending, held *nats.Msg, asked <-chan *nats.Msg) {
	t.Helper()
	allow := []byte(`{"verdict":"allow"}`)
	require.NoError(t, held.Respond(allow))
	for range hot[1:] {
		require.NoError(t, (<-asked).Respond(allow))
	}
	for _, p := range hot {
		_, err := p.Wait(t)
		require.NoError(t, err)
	}
}

// An app that hangs for all rooms is no longer asked after it has hung a few times in a row.
func TestHangingApp_BreakerOpens(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerPause: time.Hour})
	rooms := newFiftyRooms(t, b, outcomeIs(room.Unavailable))
	asked := hangingFor(t, b, joinsAndLeaves(50), func(string) bool { return true })
	openBreakers(t, b)
	before := len(asked)
	rooms.do(t, 500)
	assert.Len(t, asked, before)
}

// openBreakers makes a hanging app fail often enough to open its breakers.
func openBreakers(t testing.TB, b *harness.Bus) {
	t.Helper()
	b.Create(t, "victim")
	const inARow = 5
	for range inARow {
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "victim", User: scene.Alice})
		require.NoError(t, err)
		require.Equal(t, room.TimedOut, r.Apps[0].Outcome)
		r, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "victim", User: scene.Alice})
		require.NoError(t, err)
		require.Equal(t, room.TimedOut, r.Apps[0].Outcome)
	}
	app, err := b.Client.App(t.Context(), "app")
	require.NoError(t, err)
	for i, f := range app.State.Interfaces {
		require.Equal(t, room.BreakerOpen, f.Breaker, i)
	}
}

// The throughput of fifty rooms: with a healthy app; with an app that hangs for another room with
// many queued commands; with an app that hangs for all, once its breaker is open.
func BenchmarkHangingApp(b *testing.B) {
	cfg := roomsvc.Config{Budget: time.Hour, BreakerPause: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	measure := func(b *testing.B, rooms *fiftyRooms) {
		b.Helper()
		rooms.do(b, 500) // warm-up
		b.ResetTimer()
		rooms.do(b, b.N)
		b.StopTimer()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	}
	b.Run("alone", func(b *testing.B) {
		bus := harness.New(b, cfg)
		hangingFor(b, bus, joinsAndLeaves(room.MaxTimeoutMs), isHot)
		measure(b, newFiftyRooms(b, bus, outcomeIs(room.Allowed)))
	})
	b.Run("beside", func(b *testing.B) {
		bus := scene.Patient(b, cfg)
		bus.Create(b, "hot")
		asked := hangingFor(b, bus, joinsAndLeaves(room.MaxTimeoutMs), isHot)
		hot := joiningHot(b, bus)
		held := <-asked
		measure(b, newFiftyRooms(b, bus, outcomeIs(room.Allowed)))
		letIn(b, hot, held, asked)
	})
	b.Run("breaker", func(b *testing.B) {
		bus := harness.New(b, cfg)
		hangingFor(b, bus, joinsAndLeaves(50), func(string) bool { return true })
		openBreakers(b, bus)
		measure(b, newFiftyRooms(b, bus, outcomeIs(room.Unavailable)))
	})
}
