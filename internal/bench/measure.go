package bench

import (
	"context"
	"slices"
	"time"
)

// warmUp is how long each side works before it is measured.
const warmUp = 250 * time.Millisecond

// measure measures one cell: both sides in turn, in slices, so that both see the machine as it
// is just then.
func (st *stage) measure(ctx context.Context, cell Cell) (*Result, error) {
	script := map[side]*script{}
	for _, of := range []side{roombus, floorSide} {
		script[of] = st.script(cell)
	}
	first, err := st.firstOf(ctx, cell, script[roombus])
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
		length := st.cfg.Duration / time.Duration(st.cfg.Rounds)
		if n == 0 {
			length = warmUp
		}
		var round [2]*slice
		for _, of := range inTurn(n) {
			s, err := st.slice(ctx, of, cell, script[of], length)
			if err != nil {
				return nil, err
			}
			round[index(of)] = s
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

// inTurn is which side begins: now one, now the other.
func inTurn(n int) []side {
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

func (st *stage) script(cell Cell) *script {
	return &script{names: &st.names, rooms: st.rooms[cell.Rooms]}
}

// firstOf is a first command of the cell, which can be done.
func (st *stage) firstOf(ctx context.Context, cell Cell, s *script) (request, error) {
	if cell.Command != Leave {
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

// slice loads one side for so long.
func (st *stage) slice(ctx context.Context, of side, cell Cell, s *script, length time.Duration) (*slice, error) {
	if cell.Command == Leave { // who is to leave has to join first
		joined, err := st.loadFor(ctx, of, cell.Concurrency, length, func() (request, bool) { return s.next(Join) })
		if err != nil {
			return nil, err
		}
		s.joined = leaving(joined.done)
		s.left.Store(0)
		length = 0
	}
	before, err := st.uses(ctx, of)
	if err != nil {
		return nil, err
	}
	done, err := st.loadFor(ctx, of, cell.Concurrency, length, func() (request, bool) { return s.next(cell.Command) })
	if err != nil {
		return nil, err
	}
	after, err := st.uses(ctx, of)
	done.usage = after.since(before)
	return done, err
}

// loadFor loads one side for so long, or if that is 0, until there are no commands left. It ends
// early when the context or a process does.
func (st *stage) loadFor(ctx context.Context, of side, clients int, length time.Duration, next func() (request, bool)) (*slice, error) {
	loading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if length > 0 {
		defer time.AfterFunc(length, func() { cancel(nil) }).Stop()
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case c := <-st.gone:
			cancel(c.err)
		case <-over:
		}
	}()
	s, err := load(loading, st.nc, of, clients, next)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if cause := context.Cause(loading); cause != nil && cause != context.Canceled {
		return nil, cause
	}
	return s, nil
}
