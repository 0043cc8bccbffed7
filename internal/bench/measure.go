package bench

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// warmUp is how long each side works before it is measured.
const warmUp = 250 * time.Millisecond

// track is a cell that is being measured.
type track struct {
	cell      Cell
	scripts   map[side]*script
	sample    *Sample
	result    *Result
	conflicts uint64
}

// measure measures cells that differ only in their policies: both sides of each in turn, in slices, so that
// all run under the same conditions.
func (st *stage) measure(ctx context.Context, cells []Cell) ([]*Result, error) {
	tracks := make([]*track, len(cells))
	for n, cell := range cells {
		var err error
		if tracks[n], err = st.begin(ctx, cell); err != nil {
			return nil, fmt.Errorf("%s: %w", cell, err)
		}
		if n > 0 {
			tracks[n].result.Comparison = &Comparison{Policies: cells[0].Policies}
		}
	}
	for n := range st.cfg.Rounds + 1 {
		round := make([][2]*slice, len(tracks))
		for _, k := range order(n, len(tracks)) {
			var err error
			if round[k], err = st.turn(ctx, tracks[k], n, turnOrder(n+k)); err != nil {
				return nil, fmt.Errorf("%s: %w", cells[k], err)
			}
		}
		if n == 0 {
			continue
		}
		for k, t := range tracks {
			t.result.add(round[k][0], round[k][1])
			if k > 0 {
				t.result.compare(round[k][0], round[0][0])
			}
		}
	}
	results := make([]*Result, len(tracks))
	for k, t := range tracks {
		t.result.finish(t.conflicts)
		results[k] = t.result
	}
	return results, nil
}

// begin sends a first command of a cell, of which the floor gets the messages.
func (st *stage) begin(ctx context.Context, cell Cell) (*track, error) {
	if err := st.setPolicies(ctx, cell.Policies); err != nil {
		return nil, err
	}
	rooms, err := st.roomsOf(ctx, cell)
	if err != nil {
		return nil, err
	}
	t := &track{cell: cell, scripts: make(map[side]*script), result: newResult(cell)}
	for _, of := range []side{roombus, floorSide} {
		t.scripts[of] = &script{names: &st.names, rooms: rooms}
	}
	first, err := st.firstOf(ctx, cell, t.scripts[roombus])
	if err != nil {
		return nil, err
	}
	t.sample, err = st.sample(ctx, first)
	return t, err
}

// turn loads both sides of a cell for the n-th time. Slice 0 is the warm-up.
func (st *stage) turn(ctx context.Context, t *track, n int, sides []side) (turn [2]*slice, err error) {
	if err := st.setPolicies(ctx, t.cell.Policies); err != nil {
		return turn, err
	}
	if err := st.prepare(ctx, t.sample); err != nil {
		return turn, err
	}
	for _, of := range sides {
		if turn[index(of)], err = st.slice(ctx, of, t.cell, t.scripts[of], n); err != nil {
			return turn, err
		}
		st.step(t.cell.String())
	}
	conflicts, err := st.conflicts(ctx)
	t.conflicts += conflicts - st.counted
	st.counted = conflicts
	return turn, err
}

// order returns the order of the cells in a round: forwards and backwards in turn. Then the neighbouring
// sides of two cells are those of the room service, see turnOrder.
func order(n, cells int) []int {
	all := make([]int, cells)
	for k := range all {
		all[k] = k
	}
	if n%2 == 1 {
		slices.Reverse(all)
	}
	return all
}

// turnOrder returns the order of the sides in a round. The sides alternate in going first.
func turnOrder(n int) []side {
	order := []side{floorSide, roombus}
	if n%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

func index(of side) int {
	if of == floorSide {
		return 1
	}
	return 0
}

// roomsOf returns the rooms of a cell's commands.
func (st *stage) roomsOf(ctx context.Context, cell Cell) ([]string, error) {
	if cell.Command != Replay {
		return st.rooms[cell.Rooms], nil
	}
	st.replays++
	names := st.cfg.Trace.roomNames(st.replays)
	return names, st.create(ctx, names)
}

// firstOf returns a first command of the cell that can succeed.
func (st *stage) firstOf(ctx context.Context, cell Cell, s *script) (request, error) {
	switch cell.Command {
	case Replay:
		return joining(s.rooms[0], sampled), nil
	case Join, Create:
		r, _ := s.next(cell.Command)
		return r, nil
	}
	joined, err := st.joinOne(ctx, s)
	if err != nil {
		return request{}, err
	}
	return leaving([]request{joined})[0], nil
}

func (st *stage) joinOne(ctx context.Context, s *script) (request, error) {
	join, _ := s.next(Join)
	_, err := st.sample(ctx, join)
	return join, err
}

// slice loads one side for the n-th time. Slice 0 is the warm-up.
func (st *stage) slice(ctx context.Context, of side, cell Cell, s *script, n int) (*slice, error) {
	length := st.cfg.Duration / time.Duration(st.cfg.Rounds)
	if n == 0 {
		length = warmUp
	}
	joins := shared(func() (request, bool) { return s.next(Join) })
	var from source
	switch {
	case cell.Command == Replay && n == 0: // a trace is not replayed in the warm-up
		from = joins
	case cell.Command == Replay:
		from, length = replaying(st.cfg.Trace.segment(n-1, st.cfg.Rounds), s.rooms), 0
	case cell.Command == Leave: // a user must join before leaving
		joined, err := st.loadFor(ctx, of, cell.Concurrency, length, joins)
		if err != nil {
			return nil, err
		}
		s.joined = leaving(joined.done)
		s.left.Store(0)
		from, length = shared(func() (request, bool) { return s.next(Leave) }), 0
	default:
		from = shared(func() (request, bool) { return s.next(cell.Command) })
	}
	before, err := st.uses(ctx, of)
	if err != nil {
		return nil, err
	}
	done, err := st.loadFor(ctx, of, cell.Concurrency, length, from)
	if err != nil {
		return nil, err
	}
	after, err := st.uses(ctx, of)
	done.usage = after.since(before)
	return done, err
}

// loadFor loads one side for the given time, or if that is 0, until the source ends. It ends early
// when the context does.
func (st *stage) loadFor(ctx context.Context, of side, clients int, length time.Duration, from source) (*slice, error) {
	if length > 0 {
		var over atomic.Bool
		defer time.AfterFunc(length, func() { over.Store(true) }).Stop()
		from = from.until(&over)
	}
	s, err := load(ctx, st.nc, of, clients, from)
	if err != nil {
		return nil, err
	}
	return s, ctx.Err()
}
