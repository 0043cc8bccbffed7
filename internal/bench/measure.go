package bench

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// warmUp is how long each side works before it is measured.
const warmUp = 250 * time.Millisecond

// measure measures one cell: both sides in turn, in slices, so that both run under the same
// conditions.
func (st *stage) measure(ctx context.Context, cell Cell) (*Result, error) {
	rooms, err := st.roomsOf(ctx, cell)
	if err != nil {
		return nil, err
	}
	scripts := map[side]*script{}
	for _, of := range []side{roombus, floorSide} {
		scripts[of] = &script{names: &st.names, rooms: rooms}
	}
	first, err := st.firstOf(ctx, cell, scripts[roombus])
	if err != nil {
		return nil, err
	}
	sample, err := st.sample(ctx, first)
	if err != nil {
		return nil, err
	}
	if err := st.prepare(ctx, sample); err != nil {
		return nil, err
	}
	r := newResult(cell)
	before, err := st.conflicts(ctx)
	if err != nil {
		return nil, err
	}
	for n := range st.cfg.Rounds + 1 {
		var round [2]*slice
		for _, of := range turnOrder(n) {
			s, err := st.slice(ctx, of, cell, scripts[of], n)
			if err != nil {
				return nil, err
			}
			round[index(of)] = s
			st.step(cell.String())
		}
		if n > 0 {
			r.add(round[index(roombus)], round[index(floorSide)])
		}
	}
	after, err := st.conflicts(ctx)
	if err != nil {
		return nil, err
	}
	r.finish(after - before)
	return r, nil
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
