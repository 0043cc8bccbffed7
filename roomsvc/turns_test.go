package roomsvc

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// waitingFor is how many have, or wait for, the turn of a room.
func (t *turns) waitingFor(roomID string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, busy := t.queue[roomID]
	if !busy {
		return 0
	}
	return 1 + len(q)
}

func TestTurnsAreInTheOrderOfComing(t *testing.T) {
	t.Parallel()
	turns := newTurns(100)
	release, err := turns.take(t.Context(), "r")
	require.NoError(t, err)
	var order []int
	var waiting sync.WaitGroup
	for n := range 20 {
		waiting.Go(func() {
			release, err := turns.take(t.Context(), "r")
			assert.NoError(t, err)
			order = append(order, n) // nobody else has the turn
			release()
		})
		require.Eventually(t, func() bool { return turns.waitingFor("r") == n+2 }, patience, tick)
	}
	release()
	waiting.Wait()
	assert.IsIncreasing(t, order)
	assert.Empty(t, turns.queue, "a room that nobody waits for is forgotten")
}

func TestWhoGivesUpLosesItsPlaceOnly(t *testing.T) {
	t.Parallel()
	turns := newTurns(3)
	release, err := turns.take(t.Context(), "r")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := turns.take(ctx, "r")
		gaveUp <- err
	}()
	require.Eventually(t, func() bool { return turns.waitingFor("r") == 2 }, patience, tick)
	next := make(chan func(), 1)
	go func() {
		release, err := turns.take(t.Context(), "r")
		assert.NoError(t, err)
		next <- release
	}()
	require.Eventually(t, func() bool { return turns.waitingFor("r") == 3 }, patience, tick)
	_, err = turns.take(t.Context(), "r")
	require.ErrorIs(t, err, &room.Error{Code: room.CodeOverloaded})
	other, err := turns.take(t.Context(), "s")
	require.NoError(t, err, "another room has turns of its own")
	other()
	cancel()
	require.ErrorIs(t, <-gaveUp, &room.Error{Code: room.CodeDeadlineExceeded})
	release()
	(<-next)()
	assert.Empty(t, turns.queue)
}
