package bench

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCells(t *testing.T) {
	t.Parallel()
	cfg := Config{Commands: []Command{Join, Create}, Apps: []int{5, 0}, Policies: []int{0}, Concurrency: []int{1, 64}, Rooms: []int{1, 1000}}
	var apps []int
	var names []string
	for _, alike := range cfg.cells() {
		require.Len(t, alike, 1)
		apps = append(apps, alike[0].Apps)
		names = append(names, alike[0].String())
	}
	assert.True(t, slices.IsSorted(apps), "workers only become more")
	assert.Equal(t, []string{
		"join, 0 apps, 1 room, 1 at once", "join, 0 apps, 1 room, 64 at once",
		"join, 0 apps, 1000 rooms, 1 at once", "join, 0 apps, 1000 rooms, 64 at once",
		"create, 0 apps, 1 at once", "create, 0 apps, 64 at once",
	}, names[:6])
	assert.Len(t, names, 12)

	cfg.Trace, cfg.Policies, cfg.Concurrency = &Trace{rooms: 7}, []int{5, 1, 0}, []int{64}
	assert.Equal(t, [][]Cell{
		{{Replay, 0, 0, 7, 64}, {Replay, 0, 1, 7, 64}, {Replay, 0, 5, 7, 64}},
		{{Replay, 5, 0, 7, 64}, {Replay, 5, 1, 7, 64}, {Replay, 5, 5, 7, 64}},
	}, cfg.cells(), "the fewest policies first")
	assert.Equal(t, "replay, 5 apps, 1 policy, 7 rooms, 64 at once", cfg.cells()[1][1].String())
}

func TestRounds(t *testing.T) {
	t.Parallel()
	both := []string{"a", "b"}
	for _, c := range []struct {
		sample Sample
		rounds [][]string
	}{
		{Sample{InParallel: 2, OneByOne: true}, nil},
		{Sample{Workers: both, InParallel: 1}, [][]string{both}},
		{Sample{Workers: both, InParallel: 2, OneByOne: true}, [][]string{both, both, {"a"}, {"b"}}},
	} {
		assert.Equal(t, c.rounds, c.sample.rounds())
	}
}

func TestScript_EveryJoinedUserLeavesOnce(t *testing.T) {
	t.Parallel()
	leaves := leaving([]request{joining("a", "ada"), joining("b", "ben")})
	var bodies []string
	for _, r := range leaves {
		assert.Equal(t, Leave, r.command)
		bodies = append(bodies, r.roomID+" "+string(r.body))
	}
	assert.ElementsMatch(t, []string{`a {"roomId":"a","user":{"id":"ada"}}`, `b {"roomId":"b","user":{"id":"ben"}}`}, bodies)
}

func TestTurnOrder_SidesAlternate(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []side{floorSide, roombus}, turnOrder(0))
	assert.Equal(t, []side{roombus, floorSide}, turnOrder(1))
}

// The room service with policies works just before or after the one without.
func TestOrder_RoomServicesAreNeighbours(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		cells := order(n, 2)
		assert.Equal(t, floorSide, turnOrder(n + cells[0])[0])
		assert.Equal(t, roombus, turnOrder(n + cells[1])[0])
		assert.Equal(t, n%2, cells[0], "each goes first in turn")
	}
}
