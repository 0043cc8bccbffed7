package roomsvc

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/hooks"
)

func (t *lanes) inLane(roomID string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l, ok := t.byRoom[roomID]; ok {
		return l.tickets
	}
	return 0
}

func (t *lanes) hasBegun(tk *ticket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return tk.begun
}

// taking is the result of a wait for a turn in room r.
type taking struct {
	release func()
	err     error
}

// take enters the ticket into the lane of room r, and returns a channel with the result of the wait
// for its turn.
func take(ctx context.Context, t *testing.T, lanes *lanes, tk *ticket, changes func() bool) <-chan taking {
	t.Helper()
	taken := make(chan taking, 1)
	require.NoError(t, lanes.enter("r", tk, nil))
	go func() {
		err := lanes.wait(ctx, "r", tk, changes)
		if err != nil {
			lanes.leave("r", tk)
		}
		taken <- taking{func() { lanes.leave("r", tk) }, err}
	}()
	return taken
}

func change(user string) *ticket { return &ticket{user: user, changes: true} }
func idle(user string) *ticket   { return &ticket{user: user} }

func never() bool  { return false }
func always() bool { return true }

func TestLanes_OrderOfArrival(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	first := <-take(t.Context(), t, lanes, change("x"), never)
	require.NoError(t, first.err)
	var order []int
	var waiting sync.WaitGroup
	for n := range 20 {
		taken := take(t.Context(), t, lanes, change(string(rune('a'+n))), never)
		waiting.Go(func() {
			next := <-taken
			assert.NoError(t, next.err)
			order = append(order, n) // one change of a room at a time
			next.release()
		})
	}
	first.release()
	waiting.Wait()
	assert.IsIncreasing(t, order)
	assert.Empty(t, lanes.byRoom, "an empty lane is forgotten")
}

func TestLanes_CancelledCommandLeavesLane(t *testing.T) {
	t.Parallel()
	lanes := newLanes(3)
	first := <-take(t.Context(), t, lanes, change("a"), never)
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := take(ctx, t, lanes, change("b"), never)
	next := take(t.Context(), t, lanes, change("c"), never)
	require.ErrorIs(t, lanes.enter("r", change("d"), nil), &room.Error{Code: room.CodeOverloaded})
	(<-take(t.Context(), t, lanes, idle("d"), never)).release() // it does not wait, and so is not one too many
	other := change("d")
	require.NoError(t, lanes.enter("s", other, nil))
	assert.True(t, other.begun, "another room has its own lane")
	lanes.leave("s", other)
	cancel()
	require.ErrorIs(t, (<-cancelled).err, &room.Error{Code: room.CodeDeadlineExceeded})
	first.release()
	(<-next).release()
	assert.Empty(t, lanes.byRoom)
}

func TestLanes_CommandWithoutChangeWaitsForItsUserOnly(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	join := <-take(t.Context(), t, lanes, change("ann"), never)
	(<-take(t.Context(), t, lanes, idle("bob"), never)).release()
	(<-take(t.Context(), t, lanes, idle(""), never)).release()
	waiting := idle("ann")
	leave := take(t.Context(), t, lanes, waiting, never)
	assert.False(t, lanes.hasBegun(waiting))
	join.release()
	(<-leave).release()
	assert.Empty(t, lanes.byRoom)
}

// A leave that waited behind the join of its user changes the room by then. Its turn is in the
// order of arrival, before changes that arrived later.
func TestLanes_UpgradedCommandKeepsPlace(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	join := <-take(t.Context(), t, lanes, change("ann"), never)
	leave := take(t.Context(), t, lanes, idle("ann"), always)
	later := take(t.Context(), t, lanes, change("bob"), never)
	join.release()
	var first taking
	select {
	case first = <-leave:
		assert.Empty(t, later)
	case first = <-later: // it may begin while the leave is looked at again
		assert.Empty(t, leave, "one change at a time")
		first.release()
		first = <-leave
		first.release()
		assert.Empty(t, lanes.byRoom)
		return
	}
	first.release()
	(<-later).release()
	assert.Empty(t, lanes.byRoom)
}

// A join waits for the earlier leave of its user that would change nothing. The leave must not find
// the user as a member.
func TestLanes_ChangeWaitsForEarlierCommandOfItsUser(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	leave := <-take(t.Context(), t, lanes, idle("ann"), never)
	waiting := change("ann")
	join := take(t.Context(), t, lanes, waiting, never)
	(<-take(t.Context(), t, lanes, change("bob"), never)).release() // commands of others do not wait for the leave
	assert.False(t, lanes.hasBegun(waiting))
	leave.release()
	(<-join).release()
	assert.Empty(t, lanes.byRoom)
}

// asking is the step in which these apps are asked about a join.
func asking(t *testing.T, apps ...room.Registration) *step {
	h := hooks.New(hooks.Config{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	var registered []*room.Registration
	for n := range apps {
		apps[n].Implements = []room.Interface{room.PreRoomUserJoined}
		registered = append(registered, &apps[n])
	}
	h.Set(registered)
	return &step{asked: &h.Rounds(room.EventUserJoin)[0]}
}

// A handler that is asked about a command must not send a command that waits for its end.
func TestLanes_CommandThatWouldWaitForItselfIsRefused(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	outer := &ticket{command: "outer", user: "ann", changes: true}
	require.NoError(t, lanes.enter("r", outer, nil))
	require.NoError(t, lanes.enter("r", change("bob"), []string{"outer"}), "its apps have been asked; the event may be out")
	outer.at(asking(t, room.Registration{Manifest: room.Manifest{ID: "guard"}}))
	require.ErrorIs(t, lanes.enter("r", change("bob"), []string{"first", "outer"}), &room.Error{Code: room.CodeInvalidRequest})
	require.NoError(t, lanes.enter("r", change("bob"), []string{"another"}))
	require.NoError(t, lanes.enter("s", change("bob"), []string{"outer"}), "another room does not wait")
}

// If JetStream could not store an event, the commands behind would fail in the same way after their
// whole time.
func TestLanes_CommandsBehindFailedStoreAreBlocked(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	now := time.Now()
	first, second, third := change("a"), change("b"), change("c")
	first.came, second.came, third.came = now, now, now
	front := <-take(t.Context(), t, lanes, first, never)
	next, last := take(t.Context(), t, lanes, second, never), take(t.Context(), t, lanes, third, never)
	first.storeErr = bus.ErrRefused
	front.release()
	(<-next).release()
	require.Equal(t, bus.ErrRefused, second.blocked)
	later := change("d")
	later.came = time.Now().Add(time.Hour)
	after := take(t.Context(), t, lanes, later, never)
	(<-last).release()
	require.Equal(t, bus.ErrRefused, third.blocked)
	(<-after).release()
	require.NoError(t, later.blocked, "it arrived after the failure, and is tried")
	assert.Empty(t, lanes.byRoom)
}

func TestLanes_DeadlineErrorNamesStepOfCommandInFront(t *testing.T) {
	t.Parallel()
	app := func(id string, by room.Settings) room.Registration {
		return room.Registration{Manifest: room.Manifest{ID: id}, Operator: by}
	}
	apps := asking(t, app("a-shadow", room.Settings{Shadow: new(true)}), app("off", room.Settings{Enabled: new(false)}), app("guard", room.Settings{}))
	for name, c := range map[string]struct {
		front *step
		code  room.Code
		says  string
	}{
		"nothing":    {nil, room.CodeDeadlineExceeded, `behind other commands of room "r"`},
		"an app":     {apps, room.CodeDeadlineExceeded, "it waits for apps: guard)"},
		"a commit":   {committing, room.CodeDeadlineExceeded, "JetStream has not yet stored its event"},
		"no storage": {&step{storeErr: bus.ErrRefused}, room.CodeUnavailable, "JetStream refused the message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lanes := newLanes(100)
			first := change("a")
			front := <-take(t.Context(), t, lanes, first, never)
			first.at(c.front)
			ctx, cancel := context.WithCancel(t.Context())
			waiting := take(ctx, t, lanes, change("b"), never)
			cancel()
			err := (<-waiting).err
			require.ErrorIs(t, err, &room.Error{Code: c.code})
			require.ErrorContains(t, err, c.says)
			front.release()
			assert.Empty(t, lanes.byRoom)
		})
	}
}

func TestLanes_CommandHandedOverHoldsUpItsUserOnly(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	x := change("x")
	away := <-take(t.Context(), t, lanes, x, never)
	require.NoError(t, away.err)
	other := take(t.Context(), t, lanes, change("y"), never)
	same := change("x")
	behind := take(t.Context(), t, lanes, same, never)
	last := take(t.Context(), t, lanes, change("z"), never)

	lanes.sendAway("r", x)
	(<-other).release()
	(<-last).release()
	assert.False(t, lanes.hasBegun(same), "the order of one user")
	require.NoError(t, lanes.bringBack(t.Context(), "r", x), "it has its place in front again")
	assert.False(t, lanes.hasBegun(same))
	away.release()
	(<-behind).release()
	assert.Empty(t, lanes.byRoom)
}

func TestLanes_CommandHandedOverInVainWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	lanes := newLanes(100)
	x := change("x")
	away := <-take(t.Context(), t, lanes, x, never)
	lanes.sendAway("r", x)
	other := <-take(t.Context(), t, lanes, change("y"), never)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, lanes.bringBack(ended, "r", x), &room.Error{Code: room.CodeDeadlineExceeded})
	away.release()
	other.release()
	assert.Empty(t, lanes.byRoom)
}
