package bench

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/trace"
)

const past = trace.Header + `
2008-01-01T00:00:00Z,leave,a,ada
2008-01-01T00:00:00Z,join,a,ada
2008-01-01T00:00:00Z,join,a,ada
2008-01-01T00:00:00Z,join,b,ada
no row
2008-01-01T00:00:00Z,leave,a,ada
2008-01-01T00:00:00Z,leave,b,ben
2008-01-01T00:00:00Z,join,a,ada
`

func readPast(t *testing.T, limit int) (*Trace, []error) {
	t.Helper()
	r, err := trace.NewReader(strings.NewReader(past))
	require.NoError(t, err)
	tr, bad, err := ReadTrace(r, limit)
	require.NoError(t, err)
	return tr, bad
}

func TestReadTrace_MarksRowsThatChangeNothing(t *testing.T) {
	t.Parallel()
	tr, bad := readPast(t, 0)
	require.Len(t, bad, 1)
	assert.Equal(t, []traceRow{
		{Leave, 0, "ada", true},
		{Join, 0, "ada", false},
		{Join, 0, "ada", true},
		{Join, 1, "ada", false},
		{Leave, 0, "ada", false},
		{Leave, 1, "ben", true},
		{Join, 0, "ada", false},
	}, tr.rows)
	limited, bad := readPast(t, 3)
	assert.Equal(t, tr.rows[:3], limited.rows)
	assert.Empty(t, bad)
	assert.Equal(t, 1, limited.rooms)
}

func TestSegment_EveryRowOnceAndInOrder(t *testing.T) {
	t.Parallel()
	tr, _ := readPast(t, 0)
	for _, of := range []int{1, 2, 3, 7} {
		rooms := make([][]traceRow, tr.rooms)
		for n := range of {
			segment := tr.segment(n, of)
			assert.GreaterOrEqual(t, len(segment[0]), len(segment[1]), "the longest room comes first")
			for _, rows := range segment {
				for _, row := range rows {
					rooms[row.room] = append(rooms[row.room], row)
				}
			}
		}
		var want [2][]traceRow
		for _, row := range tr.rows {
			want[row.room] = append(want[row.room], row)
		}
		assert.Equal(t, want[:], rooms, of)
	}
}

func TestReplaying_ClientsShareTheRooms(t *testing.T) {
	t.Parallel()
	tr, _ := readPast(t, 0)
	from := replaying(tr.segment(0, 1), tr.roomNames(4))
	first, second, third := from(), from(), from()
	r, ok := first()
	require.True(t, ok)
	assert.Equal(t, "trace-4-0", r.roomID)
	assert.True(t, r.unchanged)
	r, ok = second()
	require.True(t, ok)
	assert.Equal(t, "trace-4-1", r.roomID)
	assert.False(t, r.unchanged)
	_, ok = third()
	assert.False(t, ok, "no room is left")
	for range 4 {
		r, ok = first()
		require.True(t, ok)
		assert.Equal(t, "trace-4-0", r.roomID)
	}
	_, ok = first()
	assert.False(t, ok)
}
