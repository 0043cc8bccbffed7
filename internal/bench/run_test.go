package bench

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCells(t *testing.T) {
	t.Parallel()
	cfg := Config{Commands: []Command{Join, Create}, Apps: []int{5, 0}, Concurrency: []int{1, 64}, Rooms: []int{1, 1000}}
	var apps []int
	var names []string
	for _, c := range cfg.cells() {
		apps = append(apps, c.Apps)
		names = append(names, c.String())
	}
	assert.True(t, slices.IsSorted(apps), "workers only become more")
	assert.Equal(t, []string{
		"join, 0 apps, 1 room, 1 at once", "join, 0 apps, 1 room, 64 at once",
		"join, 0 apps, 1000 rooms, 1 at once", "join, 0 apps, 1000 rooms, 64 at once",
		"create, 0 apps, 1 at once", "create, 0 apps, 64 at once",
	}, names[:6])
	assert.Len(t, names, 12)

	cfg.Trace = &Trace{rooms: 7}
	assert.Equal(t, []Cell{{Replay, 0, 7, 1}, {Replay, 0, 7, 64}, {Replay, 5, 7, 1}, {Replay, 5, 7, 64}}, cfg.cells())
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
