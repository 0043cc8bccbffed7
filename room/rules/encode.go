package rules

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/roombus/roombus/room"
)

// numbers returns the state's numbers in the order of the encoding.
func (s *State) numbers() [6]*uint64 {
	return [...]*uint64{&s.Seq, &s.Applied, &s.Latest.Create, &s.Latest.Delete, &s.Latest.UserJoin, &s.Latest.UserLeave}
}

// updates returns the numbers of updates, which versions without updates neither write nor read.
func (s *State) updates() [2]*uint64 {
	return [...]*uint64{&s.Latest.Update, &s.Latest.UserUpdate}
}

func (s *State) isUpdated() bool { return s.Latest.Update > 0 || s.Latest.UserUpdate > 0 }

// AppendBinary appends the whole state to b: its numbers, the time of the deletion, the record, the
// members, the time of the last event, and the numbers of updates if there was one. Each number is a
// varint. A text is preceded by its length, the members by their number. The record is empty if the
// room does not exist.
func (s *State) AppendBinary(b []byte) ([]byte, error) {
	for _, n := range s.numbers() {
		b = binary.AppendUvarint(b, *n)
	}
	b = binary.AppendUvarint(b, micros(s.DeletedAt))
	var record []byte
	if s.Room != nil {
		var err error
		if record, err = appendRecord(binary.AppendUvarint(nil, s.Room.Version), *s.Room); err != nil {
			return b, fmt.Errorf("encoding the room's record: %w", err)
		}
	}
	b = appendText(b, record)
	b = binary.AppendUvarint(b, uint64(len(s.members)))
	for _, m := range s.members {
		b = appendText(b, m)
	}
	b = binary.AppendUvarint(b, uint64(max(s.latestAt, 0)))
	if s.isUpdated() {
		for _, n := range s.updates() {
			b = binary.AppendUvarint(b, *n)
		}
	}
	return b, nil
}

// texts and flags return the fields of a record in the order of the encoding.
func texts(r *room.Room) [5]*string {
	return [...]*string{&r.DisplayName, &r.SlugifiedName, (*string)(&r.Type), &r.Description, &r.ParentRoomID}
}

func flags(r *room.Room) [3]*bool {
	return [...]*bool{&r.IsDefault, &r.IsReadOnly, &r.DisplaySystemMessages}
}

// appendRecord appends a record without the id and without the fields that change with every event.
func appendRecord(b []byte, r room.Room) ([]byte, error) {
	for _, text := range texts(&r) {
		b = appendText(b, *text)
	}
	var set byte
	for n, flag := range flags(&r) {
		if *flag {
			set |= 1 << n
		}
	}
	b = append(b, set)
	b = appendText(b, r.CreatedAt.Format(time.RFC3339Nano))
	b = appendText(b, r.Creator.ID)
	creator, err := appendUser(nil, r.Creator)
	if err != nil {
		return b, err
	}
	b = appendText(b, creator)
	return appendObject(b, r.CustomFields)
}

func decodeRecord(id string, data []byte) (*room.Room, error) {
	d := decoder{rest: data}
	r := room.Room{ID: id, Version: d.number()}
	for _, text := range texts(&r) {
		*text = string(d.text())
	}
	set := d.byte()
	for n, flag := range flags(&r) {
		*flag = set&(1<<n) != 0
	}
	var err error
	if r.CreatedAt, err = time.Parse(time.RFC3339Nano, string(d.text())); err != nil {
		return nil, fmt.Errorf("its creation time: %w", err)
	}
	r.Creator.ID = string(d.text())
	if err = decodeUser(d.text(), &r.Creator); err != nil {
		return nil, fmt.Errorf("its creator: %w", err)
	}
	if r.CustomFields, err = d.object(); err != nil {
		return nil, fmt.Errorf("its custom fields: %w", err)
	}
	return &r, d.end()
}

// appendObject appends an untyped object as JSON, or an empty text if the object is empty.
func appendObject(b []byte, object map[string]any) ([]byte, error) {
	if len(object) == 0 {
		return appendText(b, ""), nil
	}
	data, err := json.Marshal(object)
	return appendText(b, data), err
}

// micros returns a time in microseconds, or 0 for the zero time.
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

// errNoState is returned when bytes are not an encoded state.
var errNoState = errors.New("not the encoding of a room's state")

// DecodeState decodes the output of AppendBinary for the room of that id. The state does not reference
// data. An error means that data is not an encoded state. DecodeState does not detect all corruption:
// compare hashes for that.
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
		var err error
		if s.Room, err = decodeRecord(roomID, record); err != nil {
			return nil, fmt.Errorf("%w: the record: %w", errNoState, err)
		}
		s.content = hashRecord(*s.Room)
	}
	count := d.number()
	if count > uint64(len(d.rest)) { // each takes at least one byte
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
	if len(d.rest) > 0 { // older versions end here
		s.latestAt = int64(min(d.number(), math.MaxInt64))
	}
	if len(d.rest) > 0 { // the room was never updated
		for _, n := range s.updates() {
			*n = d.number()
		}
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if s.Room != nil {
		s.Room.MemberCount = len(s.members)
	} else if count > 0 {
		return nil, fmt.Errorf("%w: %d members of a room that does not live", errNoState, count)
	}
	return &s, nil
}

// decoder reads numbers and texts from the front of rest. After an unexpected end it returns zero
// values.
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

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.short = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) object() (object map[string]any, err error) {
	if data := d.text(); len(data) > 0 {
		err = room.DecodeLenient(data, &object)
	}
	return object, err
}

// end returns an error if the data ended too early or has not been read completely.
func (d *decoder) end() error {
	switch {
	case d.short:
		return fmt.Errorf("%w: it ends too early", errNoState)
	case len(d.rest) > 0:
		return fmt.Errorf("%w: it goes on after its end", errNoState)
	}
	return nil
}
