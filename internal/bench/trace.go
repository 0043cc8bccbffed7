package bench

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/roombus/roombus/internal/trace"
)

// Trace is joins and leaves as they once happened.
type Trace struct {
	rows  []traceRow
	rooms int
}

// traceRow is a row whose outcome is known, since nothing else changes its room.
type traceRow struct {
	command   Command
	room      int
	user      string
	unchanged bool
}

// ReadTrace reads so many rows, or all if limit is 0. Rows that are none are passed over; bad are
// the errors of those.
func ReadTrace(r *trace.Reader, limit int) (t *Trace, bad []error, err error) {
	t = &Trace{}
	number := map[string]int{}
	type membership struct {
		room int
		user string
	}
	members := map[membership]bool{}
	for row, err := range r.Rows() {
		var not *trace.BadRowError
		switch {
		case errors.As(err, &not):
			bad = append(bad, err)
			continue
		case err != nil:
			return nil, bad, err
		case limit > 0 && len(t.rows) == limit:
			return t, bad, nil
		}
		n, ok := number[row.Room]
		if !ok {
			n = len(number)
			number[row.Room] = n
			t.rooms = n + 1
		}
		m, joins := membership{n, row.User}, row.Action == trace.Join
		t.rows = append(t.rows, traceRow{command: Command(row.Action), room: n, user: row.User, unchanged: members[m] == joins})
		members[m] = joins
	}
	return t, bad, nil
}

// Rows is how many there are.
func (t *Trace) Rows() int { return len(t.rows) }

// roomNames are those of the trace's rooms in one cell: every cell begins with empty ones.
func (t *Trace) roomNames(cell int) []string {
	names := make([]string, t.rooms)
	for n := range names {
		names[n] = fmt.Sprintf("trace-%d-%d", cell, n)
	}
	return names
}

// segment is one of so many parts of the trace, as the rows of each room, in order. The room with
// the most comes first, as it takes longest.
func (t *Trace) segment(n, of int) [][]traceRow {
	rooms := make([][]traceRow, t.rooms)
	for _, row := range t.rows[len(t.rows)*n/of : len(t.rows)*(n+1)/of] {
		rooms[row.room] = append(rooms[row.room], row)
	}
	slices.SortStableFunc(rooms, func(a, b []traceRow) int { return cmp.Compare(len(b), len(a)) })
	return rooms
}

// replaying has every client take a room and send its rows one after the other, then the next
// room that nobody has taken.
func replaying(rooms [][]traceRow, names []string) source {
	var taken atomic.Int64
	return func() func() (request, bool) {
		var mine []traceRow
		return func() (request, bool) {
			for len(mine) == 0 {
				n := int(taken.Add(1)) - 1
				if n >= len(rooms) {
					return request{}, false
				}
				mine = rooms[n]
			}
			row := mine[0]
			mine = mine[1:]
			r := membership(row.command, names[row.room], row.user)
			r.unchanged = row.unchanged
			return r, true
		}
	}
}
