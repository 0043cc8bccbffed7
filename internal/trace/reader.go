package trace

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/roombus/roombus/room"
)

// Header is the first line of a trace.
const Header = "time,action,room,user"

// maxLine bounds a line; a longer one is a bad row.
const maxLine = 64 << 10

// The actions of a row.
const (
	Join  = "join"
	Leave = "leave"
)

// Row is one line of a trace.
type Row struct {
	Line   int // counted from 1, the header's
	Time   time.Time
	Action string
	Room   string
	User   string
}

// BadRowError is the error for a malformed line. Reading continues after it.
type BadRowError struct {
	Line int
	Why  string
}

func (b *BadRowError) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Why) }

// Reader reads a trace once.
type Reader struct {
	lines *bufio.Reader
	line  int
}

// NewReader decompresses the trace if it is gzipped, and checks the header.
func NewReader(r io.Reader) (*Reader, error) {
	b := bufio.NewReaderSize(r, maxLine)
	if magic, _ := b.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("unpacking the trace: %w", err)
		}
		b = bufio.NewReaderSize(z, maxLine)
	}
	t := &Reader{lines: b}
	header, err := t.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the trace's header: %w", err)
	}
	if strings.TrimPrefix(header, "\ufeff") != Header {
		return nil, fmt.Errorf("this is no trace: its first line must be %q, not %.80q", Header, header)
	}
	return t, nil
}

// Rows yields every row, or a *BadRowError for a malformed line. Any other error ends the sequence.
func (t *Reader) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			text, err := t.next()
			var bad *BadRowError
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil && !errors.As(err, &bad):
				yield(Row{}, fmt.Errorf("reading the trace at line %d: %w", t.line, err))
				return
			case err == nil && text == "":
				continue
			}
			row := Row{Line: t.line}
			if err == nil {
				err = row.parse(text)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// next returns the next line without its line ending.
func (t *Reader) next() (string, error) {
	text, long, err := t.lines.ReadLine()
	if err != nil {
		return "", err
	}
	t.line++
	line := string(text)
	if !long {
		return line, nil
	}
	for long && err == nil {
		_, long, err = t.lines.ReadLine()
	}
	return "", &BadRowError{t.line, fmt.Sprintf("longer than %d bytes", maxLine)}
}

func (r *Row) parse(text string) error {
	fields := strings.Split(text, ",")
	if strings.Contains(text, `"`) {
		var err error
		if fields, err = csv.NewReader(strings.NewReader(text)).Read(); err != nil {
			return &BadRowError{r.Line, "not CSV: " + err.Error()}
		}
	}
	if len(fields) != 4 {
		return &BadRowError{r.Line, fmt.Sprintf("%d fields, not the 4 of %s", len(fields), Header)}
	}
	var err error
	if r.Time, err = time.Parse(time.RFC3339, fields[0]); err != nil {
		return &BadRowError{r.Line, fmt.Sprintf("time must be like 2006-01-02T15:04:05Z, not %q", fields[0])}
	}
	r.Action, r.Room, r.User = fields[1], fields[2], fields[3]
	if r.Action != Join && r.Action != Leave {
		return &BadRowError{r.Line, fmt.Sprintf("action must be join or leave, not %q", r.Action)}
	}
	if err := (room.JoinRequest{RoomID: r.Room, User: room.User{ID: r.User}}).Validate(); err != nil {
		return &BadRowError{r.Line, err.Error()}
	}
	return nil
}
