package lanes_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/lanes"
)

// turn is a command that waits for its turn in room r.
type turn struct {
	ticket *lanes.Ticket
	taken  chan error // gets the result of the wait
}

// take enters a command into its lane and waits for its turn. A command whose wait fails leaves.
func take(ctx context.Context, t *testing.T, all *lanes.Lanes, c lanes.Command, changes func() bool) turn {
	t.Helper()
	ticket, err := all.Enter(c)
	require.NoError(t, err)
	taken := make(chan error, 1)
	go func() {
		err := ticket.Wait(ctx, changes)
		if err != nil {
			ticket.Leave()
		}
		taken <- err
	}()
	return turn{ticket, taken}
}

// await waits until it is the command's turn.
func (w turn) await(t *testing.T) turn {
	t.Helper()
	assert.NoError(t, <-w.taken)
	return w
}

func (w turn) leave() { w.ticket.Leave() }

func change(user string) lanes.Command { return lanes.Command{Room: "r", User: user, Changes: true} }
func idle(user string) lanes.Command   { return lanes.Command{Room: "r", User: user} }

func never() bool  { return false }
func always() bool { return true }

func TestLanes_OrderOfArrival(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	first := take(t.Context(), t, all, change("x"), never).await(t)
	var order []int
	var waiting sync.WaitGroup
	for n := range 20 {
		next := take(t.Context(), t, all, change(string(rune('a'+n))), never)
		waiting.Go(func() {
			next.await(t)
			order = append(order, n) // one change of a room at a time
			next.leave()
		})
	}
	first.leave()
	waiting.Wait()
	assert.IsIncreasing(t, order)
	assert.Zero(t, all.Rooms(), "an empty lane is forgotten")
}

func TestLanes_CancelledCommandLeavesLane(t *testing.T) {
	t.Parallel()
	all := lanes.New(3)
	first := take(t.Context(), t, all, change("a"), never).await(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := take(ctx, t, all, change("b"), never)
	next := take(t.Context(), t, all, change("c"), never)
	_, err := all.Enter(change("d"))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeOverloaded})
	take(t.Context(), t, all, idle("d"), never).await(t).leave() // it does not wait, and so is not one too many
	other, err := all.Enter(lanes.Command{Room: "s", User: "d", Changes: true})
	require.NoError(t, err)
	assert.True(t, other.HasBegun(), "another room has its own lane")
	assert.False(t, other.Queued())
	other.Leave()
	cancel()
	require.ErrorIs(t, <-cancelled.taken, &room.Error{Code: room.CodeDeadlineExceeded})
	assert.Equal(t, 2, all.Len("r"))
	first.leave()
	next.await(t).leave()
	assert.Zero(t, all.Rooms())
}

func TestLanes_CommandWithoutChangeWaitsForItsUserOnly(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	join := take(t.Context(), t, all, change("ann"), never).await(t)
	take(t.Context(), t, all, idle("bob"), never).await(t).leave()
	take(t.Context(), t, all, idle(""), never).await(t).leave()
	leave := take(t.Context(), t, all, idle("ann"), never)
	assert.True(t, leave.ticket.Queued())
	assert.False(t, leave.ticket.HasBegun())
	join.leave()
	leave.await(t).leave()
	assert.Zero(t, all.Rooms())
}

// A leave that waited behind the join of its user changes the room by then. Its turn is in the
// order of arrival, before changes that arrived later.
func TestLanes_UpgradedCommandKeepsPlace(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	join := take(t.Context(), t, all, change("ann"), never).await(t)
	leave := take(t.Context(), t, all, idle("ann"), always)
	later := take(t.Context(), t, all, change("bob"), never)
	join.leave()
	select {
	case err := <-leave.taken:
		require.NoError(t, err)
		assert.Empty(t, later.taken)
		leave.leave()
		later.await(t).leave()
	case err := <-later.taken: // it may begin while the leave is looked at again
		require.NoError(t, err)
		assert.Empty(t, leave.taken, "one change at a time")
		later.leave()
		leave.await(t).leave()
	}
	assert.Zero(t, all.Rooms())
}

// A join waits for the earlier leave of its user that would change nothing. The leave must not find
// the user as a member.
func TestLanes_ChangeWaitsForEarlierCommandOfItsUser(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	leave := take(t.Context(), t, all, idle("ann"), never).await(t)
	join := take(t.Context(), t, all, change("ann"), never)
	take(t.Context(), t, all, change("bob"), never).await(t).leave() // commands of others do not wait for the leave
	assert.False(t, join.ticket.HasBegun())
	leave.leave()
	join.await(t).leave()
	assert.Zero(t, all.Rooms())
}

// A command that is sent twice waits for its first copy.
func TestLanes_TicketKnowsEarlierCopy(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	join := lanes.Command{ID: "c1", Room: "r", User: "ann", Changes: true}
	first := take(t.Context(), t, all, join, never).await(t)
	between := take(t.Context(), t, all, change("ann"), never)
	second := take(t.Context(), t, all, join, never)
	assert.False(t, first.ticket.HasEarlierCopy())
	assert.False(t, between.ticket.HasEarlierCopy())
	assert.True(t, second.ticket.HasEarlierCopy())
	first.leave()
	assert.False(t, second.ticket.HasEarlierCopy(), "it has left")
	between.await(t).leave()
	second.await(t).leave()
	assert.Zero(t, all.Rooms())
}

// asking is the step in which this app is asked.
func asking(app string) *lanes.Step { return lanes.Asking(func() []string { return []string{app} }) }

// A handler that is asked about a command must not send a command that waits for its end.
func TestLanes_CommandThatWouldWaitForItselfIsRefused(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	outer, err := all.Enter(lanes.Command{ID: "outer", Room: "r", User: "ann", Changes: true})
	require.NoError(t, err)
	enter := func(roomID string, causedBy ...string) error {
		_, err := all.Enter(lanes.Command{Room: roomID, User: "bob", Changes: true, CausedBy: causedBy})
		return err
	}
	require.NoError(t, enter("r", "outer"), "its apps have been asked; the event may be out")
	outer.At(asking("guard"))
	require.ErrorIs(t, enter("r", "first", "outer"), &room.Error{Code: room.CodeInvalidRequest})
	require.NoError(t, enter("r", "another"))
	require.NoError(t, enter("s", "outer"), "another room does not wait")
}

// If JetStream could not store an event, the commands behind would fail in the same way after their
// whole time.
func TestLanes_CommandsBehindFailedStoreAreBlocked(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	front := take(t.Context(), t, all, change("a"), never).await(t)
	next, last := take(t.Context(), t, all, change("b"), never), take(t.Context(), t, all, change("c"), never)
	isBlocked := func(w turn) {
		err := <-w.taken // and the command leaves
		require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
		require.ErrorContains(t, err, bus.ErrRefused.Error())
	}
	hold := take(t.Context(), t, all, idle("d"), never).await(t)
	later := take(t.Context(), t, all, change("d"), never)
	front.ticket.StoreFailed(bus.ErrRefused)
	front.leave()
	isBlocked(next)
	isBlocked(last)
	after := take(t.Context(), t, all, change("d"), never)
	hold.leave()
	isBlocked(later)
	after.await(t).leave() // it arrived after the failure, and is tried
	assert.Zero(t, all.Rooms())
}

func TestLanes_DeadlineErrorNamesStepOfCommandInFront(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		front *lanes.Step
		code  room.Code
		says  string
	}{
		"nothing":    {nil, room.CodeDeadlineExceeded, `behind other commands of room "r"`},
		"an app":     {asking("guard"), room.CodeDeadlineExceeded, "it waits for apps: guard)"},
		"a commit":   {lanes.Committing(), room.CodeDeadlineExceeded, "JetStream has not yet stored its event"},
		"no storage": {lanes.StoreFailing(bus.ErrRefused), room.CodeUnavailable, "JetStream refused the message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := lanes.New(100)
			front := take(t.Context(), t, all, change("a"), never).await(t)
			front.ticket.At(c.front)
			ctx, cancel := context.WithCancel(t.Context())
			waiting := take(ctx, t, all, change("b"), never)
			cancel()
			err := <-waiting.taken
			require.ErrorIs(t, err, &room.Error{Code: c.code})
			require.ErrorContains(t, err, c.says)
			front.leave()
			assert.Zero(t, all.Rooms())
		})
	}
}

func TestLanes_CommandHandedOverHoldsUpItsUserOnly(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	away := take(t.Context(), t, all, change("x"), never).await(t)
	other := take(t.Context(), t, all, change("y"), never)
	behind := take(t.Context(), t, all, change("x"), never)
	last := take(t.Context(), t, all, change("z"), never)

	away.ticket.SendAway()
	other.await(t).leave()
	last.await(t).leave()
	assert.False(t, behind.ticket.HasBegun(), "the order of one user")
	require.NoError(t, away.ticket.BringBack(t.Context()), "it has its place in front again")
	assert.False(t, behind.ticket.HasBegun())
	away.leave()
	behind.await(t).leave()
	assert.Zero(t, all.Rooms())
}

func TestLanes_CommandHandedOverInVainWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	all := lanes.New(100)
	away := take(t.Context(), t, all, change("x"), never).await(t)
	away.ticket.SendAway()
	other := take(t.Context(), t, all, change("y"), never).await(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, away.ticket.BringBack(ended), &room.Error{Code: room.CodeDeadlineExceeded})
	away.leave()
	other.leave()
	assert.Zero(t, all.Rooms())
}

// A command that comes back waits in front of changes that arrived later.
func TestLanes_CommandBroughtBackKeepsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := lanes.New(100)
		away := take(t.Context(), t, all, change("x"), never).await(t)
		away.ticket.SendAway()
		other := take(t.Context(), t, all, change("y"), never).await(t)
		later := take(t.Context(), t, all, change("z"), never)
		back := make(chan error, 1)
		go func() { back <- away.ticket.BringBack(t.Context()) }()
		synctest.Wait()
		assert.Empty(t, back, "one change at a time")
		other.leave()
		require.NoError(t, <-back)
		assert.False(t, later.ticket.HasBegun())
		away.leave()
		later.await(t).leave()
		assert.Zero(t, all.Rooms())
	})
}
