package bench

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/roombus/roombus/internal/trace"
)

// Trace is a recorded sequence of joins and leaves.
type Trace struct {
	rows  []traceRow
	rooms int
}

// traceRow is a row whose outcome is known, because nothing else changes its room.
type traceRow struct {
	command   Command
	room      int
	user      string
	unchanged bool
}

// ReadTrace reads so many rows, or all if limit is 0. It skips malformed rows and returns their
// errors in bad.
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

// Rows is the number of rows.
func (t *Trace) Rows() int { return len(t.rows) }

// roomNames returns the names of the trace's rooms in one cell. Every cell begins with empty rooms.
func (t *Trace) roomNames(cell int) []string {
	names := make([]string, t.rooms)
	for n := range names {
		names[n] = fmt.Sprintf("trace-%d-%d", cell, n)
	}
	return names
}

// segment returns the n-th of so many parts of the trace, as the ordered rows of each room. The
// longest room comes first, because it takes longest.
func (t *Trace) segment(n, of int) [][]traceRow {
	rooms := make([][]traceRow, t.rooms)
	for _, row := range t.rows[len(t.rows)*n/of : len(t.rows)*(n+1)/of] {
		rooms[row.room] = append(rooms[row.room], row)
	}
	slices.SortStableFunc(rooms, func(a, b []traceRow) int { return cmp.Compare(len(b), len(a)) })
	return rooms
}

// replaying is a source in which each client takes a room, sends its rows one after the other, and
// then takes the next free room.
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
