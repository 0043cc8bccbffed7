package trace_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/trace"
	"github.com/roombus/roombus/room"
)

// FuzzRows checks that every line of a trace is a valid row, or is reported as a bad one. A row is
// the same after it is written and read again.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{two, trace.Header + "\n2008-01-01T00:22:00+01:00,join,css,\"a \"\"b\"\"\"\r\n\nx\n", "\x1f\x8b", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := trace.NewReader(bytes.NewReader(text))
		if err != nil {
			return
		}
		line := 1
		for row, err := range r.Rows() {
			var bad *trace.BadRowError
			if errors.As(err, &bad) {
				require.Greater(t, bad.Line, line)
				line = bad.Line
				continue
			}
			if err != nil {
				return // the compressed data is broken
			}
			require.Greater(t, row.Line, line)
			line = row.Line
			require.NoError(t, room.JoinRequest{RoomID: row.Room, User: room.User{ID: row.User}}.Validate())
			requireSameRow(t, row)
		}
	})
}

func requireSameRow(t *testing.T, row trace.Row) {
	var written bytes.Buffer
	written.WriteString(trace.Header + "\n")
	w := csv.NewWriter(&written)
	require.NoError(t, w.Write([]string{row.Time.Format(time.RFC3339), row.Action, row.Room, row.User}))
	w.Flush()
	rows, bad, err := read(t, &written)
	require.NoError(t, err)
	require.Empty(t, bad)
	require.Len(t, rows, 1)
	require.Equal(t, []string{row.Action, row.Room, row.User}, []string{rows[0].Action, rows[0].Room, rows[0].User})
}
