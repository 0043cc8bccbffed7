package trace_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/trace"
)

func read(t *testing.T, r io.Reader) (rows []trace.Row, bad []*trace.BadRowError, last error) {
	t.Helper()
	tr, err := trace.NewReader(r)
	require.NoError(t, err)
	for row, err := range tr.Rows() {
		var b *trace.BadRowError
		switch {
		case errors.As(err, &b):
			bad = append(bad, b)
		case err != nil:
			last = err
		default:
			rows = append(rows, row)
		}
	}
	return rows, bad, last
}

const two = trace.Header + "\n2008-01-01T00:22:00Z,leave,whatwg,u1\n2008-01-01T00:41:00Z,join,css,\"u,2\"\n"

func TestRows(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(two))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, r := range map[string]io.Reader{
		"plain":        strings.NewReader(two),
		"gzipped":      &zipped,
		"CRLF and BOM": strings.NewReader("\ufeff" + strings.ReplaceAll(two, "\n", "\r\n")),
		"empty lines":  strings.NewReader(strings.ReplaceAll(two, "\n2008", "\n\n2008") + "\n\n"),
		"no end":       strings.NewReader(strings.TrimSuffix(two, "\n")),
	} {
		rows, bad, err := read(t, r)
		require.NoError(t, err, name)
		assert.Empty(t, bad, name)
		require.Len(t, rows, 2, name)
		line := 2
		if name == "empty lines" {
			line = 3
		}
		assert.Equal(t, trace.Row{Line: line, Time: time.Date(2008, 1, 1, 0, 22, 0, 0, time.UTC), Action: trace.Leave, Room: "whatwg", User: "u1"}, rows[0], name)
		assert.Equal(t, "u,2", rows[1].User, name)
	}
}

func TestRows_BadRowsAreReportedAndSkipped(t *testing.T) {
	t.Parallel()
	lines := []string{
		"2008-01-01T00:22:00Z,join,css",
		"yesterday,join,css,u1",
		"2008-01-01T00:22:00Z,kick,css,u1",
		"2008-01-01T00:22:00Z,join,a b,u1",
		"2008-01-01T00:22:00Z,join,css,",
		"2008-01-01T00:22:00Z,join,css,\"u1",
		"2008-01-01T00:22:00Z,join,css,\x01",
		strings.Repeat("x", 200<<10),
	}
	rows, bad, err := read(t, strings.NewReader(trace.Header+"\n"+strings.Join(lines, "\n")+"\n2008-01-01T00:22:00Z,join,css,good\n"))
	require.NoError(t, err)
	require.Len(t, bad, len(lines))
	for n, says := range []string{"3 fields", "time must be", "action must be", "roomId must be", "user.id is required", "not CSV", "control character", "longer than"} {
		assert.Equal(t, n+2, bad[n].Line)
		assert.Contains(t, bad[n].Error(), says)
	}
	require.Len(t, rows, 1)
	assert.Equal(t, "good", rows[0].User)
	assert.Equal(t, len(lines)+2, rows[0].Line)
}

func TestNoTrace(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "hello\n", "user,room,action,time\n", "\x1f\x8bnot gzip", strings.Repeat("y", 100<<10)} {
		_, err := trace.NewReader(strings.NewReader(text))
		require.Error(t, err)
	}
	var cut bytes.Buffer
	z := gzip.NewWriter(&cut)
	_, err := z.Write([]byte(two + strings.Repeat("2008-01-01T00:22:00Z,join,css,u1\n", 1000)))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	rows, _, err := read(t, bytes.NewReader(cut.Bytes()[:cut.Len()-9]))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.NotEmpty(t, rows, "what came before is there")
}
