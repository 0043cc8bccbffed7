package room

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// numbers are the state's numbers in the order in which they are encoded.
func (s *State) numbers() [6]*uint64 {
	return [...]*uint64{&s.Seq, &s.Applied, &s.Latest.Create, &s.Latest.Delete, &s.Latest.UserJoin, &s.Latest.UserLeave}
}

// AppendBinary appends the whole state to b: its numbers, then the time of the deletion, then its
// record as JSON, then its members. Each number is a varint; text has its length before it, and members their number.
// The record of a room that does not live has no bytes.
func (s *State) AppendBinary(b []byte) ([]byte, error) {
	for _, n := range s.numbers() {
		b = binary.AppendUvarint(b, *n)
	}
	b = binary.AppendUvarint(b, micros(s.DeletedAt))
	var record []byte
	if s.Room != nil {
		var err error
		if record, err = json.Marshal(s.Room); err != nil {
			return b, fmt.Errorf("encoding the room's record: %w", err)
		}
	}
	b = appendText(b, record)
	b = binary.AppendUvarint(b, uint64(len(s.members)))
	for _, m := range s.members {
		b = appendText(b, m)
	}
	return b, nil
}

// micros is a time as a number, 0 if there is none.
func micros(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMicro(), 1))
}

func appendText[T string | []byte | member](b []byte, text T) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// errNoState is why bytes are not a state.
var errNoState = errors.New("not the encoding of a room's state")

// DecodeState reads what AppendBinary has written of the room of that id. What it keeps is not
// part of data. The error says that it is something else; only a hash tells whether it is what
// was written.
func DecodeState(roomID string, data []byte) (*State, error) {
	d := decoder{rest: data}
	var s State
	for _, n := range s.numbers() {
		*n = d.number()
	}
	if at := d.number(); at > 0 {
		s.DeletedAt = time.UnixMicro(int64(min(at, math.MaxInt64))).UTC()
	}
	if record := d.text(); len(record) > 0 {
		if err := DecodeLenient(record, &s.Room); err != nil {
			return nil, fmt.Errorf("%w: the record: %w", errNoState, err)
		}
		if s.Room == nil || s.Room.ID != roomID {
			return nil, fmt.Errorf("%w: the record is not that of room %q", errNoState, roomID)
		}
		s.content = hashRecord(*s.Room)
	}
	count := d.number()
	if count > uint64(len(d.rest)) { // each takes a byte or more
		return nil, fmt.Errorf("%w: it ends too early", errNoState)
	}
	s.members = make([]member, 0, count)
	for range count {
		m := member(d.text())
		if n := len(s.members); n > 0 && s.members[n-1].id() >= m.id() {
			return nil, fmt.Errorf("%w: the members are not in order", errNoState)
		}
		s.members = append(s.members, m)
		s.content += m.hash()
	}
	switch {
	case d.short:
		return nil, fmt.Errorf("%w: it ends too early", errNoState)
	case len(d.rest) > 0:
		return nil, fmt.Errorf("%w: it goes on after its end", errNoState)
	case s.Room == nil && count > 0, s.Room != nil && s.Room.MemberCount != len(s.members):
		return nil, fmt.Errorf("%w: %d members do not go with the record", errNoState, count)
	}
	return &s, nil
}

// decoder takes numbers and texts off its front. From an end that comes too early on, it gives
// zeros.
type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.rest, d.short = nil, true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) text() []byte {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.rest, d.short = nil, true
		return nil
	}
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}
