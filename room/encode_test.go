package room_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

var zoe = room.User{
	ID: "zoë z", Username: "zoe", Name: "Zoë <&>", Roles: []string{"admin"},
	Attributes: map[string]any{"badge": json.Number("9007199254740993"), "of": map[string]any{"a": nil}},
}

// evolved is room r after the events, each of which follows on the one before.
func evolved(t testing.TB, events ...room.Event) *room.State {
	t.Helper()
	var s room.State
	for _, e := range events {
		e.Room, e.Data.Room.ID = "r", "r"
		e.Seq, e.Expected, e.Version = s.Seq+7, s.Seq, 1
		if s.Room != nil {
			e.Version = s.Room.Version + 1
		}
		require.NoError(t, room.Evolve(&s, e))
	}
	return &s
}

func created(members ...room.User) room.Event {
	return room.Event{Type: room.EventCreate, Data: room.Data{
		Room: room.Room{
			DisplayName: "R", SlugifiedName: "r", Type: room.Channel, Creator: zoe, IsReadOnly: true, Description: "d",
			CustomFields: map[string]any{"n": json.Number("1.0"), "list": []any{"a", true}}, ParentRoomID: "p", CreatedAt: at,
		},
		Members: members,
	}}
}

func joined(u room.User) room.Event {
	return room.Event{Type: room.EventUserJoin, Data: room.Data{JoiningUser: &u}}
}

func left(u room.User) room.Event {
	return room.Event{Type: room.EventUserLeave, Data: room.Data{LeavingUser: &u}}
}

var deleted = room.Event{Type: room.EventDelete, Time: at}

func states(t testing.TB) map[string]*room.State {
	skipped := evolved(t, created(zoe))
	skipped.Skip(99)
	return map[string]*room.State{
		"never":          {},
		"without anyone": evolved(t, created()),
		"alone":          evolved(t, created(zoe)),
		"with members":   evolved(t, created(zoe, bob), joined(alice), left(bob)),
		"deleted":        evolved(t, created(zoe), joined(alice), deleted),
		"made anew":      evolved(t, created(zoe), deleted, created(bob)),
		"skipped":        skipped,
	}
}

func TestAStateIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for name, s := range states(t) {
		data, err := s.AppendBinary([]byte("before"))
		require.NoError(t, err)
		read, err := room.DecodeState("r", data[len("before"):])
		require.NoError(t, err, name)
		assert.Equal(t, s.Hash("r"), read.Hash("r"), name)
		assert.Equal(t, s.View(room.JoinRequest{User: zoe}), read.View(room.JoinRequest{User: zoe}), name)
		assert.Equal(t, s.Applied, read.Applied, name)
		assert.Equal(t, s.MembersAfter("", 9), read.MembersAfter("", 9), name)
		for n := range data[len("before"):] {
			_, err := room.DecodeState("r", data[len("before"):len(data)-1-n])
			require.Error(t, err, "%s, cut by %d", name, n+1)
		}
		_, err = room.DecodeState("r", append(data[len("before"):], 0))
		require.Error(t, err, name)
	}
	_, err := room.DecodeState("q", must(evolved(t, created(zoe)).AppendBinary(nil)))
	require.ErrorContains(t, err, `not that of room "q"`)
}

func must(b []byte, _ error) []byte { return b }

func TestWhatIsNoState(t *testing.T) {
	t.Parallel()
	numbers := []byte{1, 1, 1, 0, 0, 0, 0}
	record := func(json string) []byte { return append(append(slices.Clone(numbers), byte(len(json))), json...) }
	two := record(`{"id":"r","memberCount":2}`)
	_, err := room.DecodeState("r", append(slices.Clone(two), 2, 1, 'a', 1, 'b'))
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"nothing":                nil,
		"members out of order":   append(slices.Clone(two), 2, 1, 'b', 1, 'a'),
		"a member twice":         append(slices.Clone(two), 2, 1, 'a', 3, 'a', 0, 'x'),
		"one member too few":     append(slices.Clone(two), 1, 1, 'a'),
		"a number beyond all":    binary.AppendUvarint(slices.Clone(two), math.MaxUint64),
		"members of nothing":     append(slices.Clone(numbers), 0, 1, 1, 'a'),
		"a record that is none":  append(record(`null`), 0),
		"a record of another":    append(record(`{"id":"q"}`), 0),
		"a record without end":   append(record(`{"id":"r"`), 0),
		"a number without end":   bytes.Repeat([]byte{0xff}, 20),
		"a text longer than all": append(slices.Clone(numbers), 100, '{'),
	} {
		_, err := room.DecodeState("r", slices.Clone(data))
		assert.Error(t, err, name)
	}
}

// A member comes out as it went in, whatever there is of it.
func TestAMemberIsAsItWasGiven(t *testing.T) {
	t.Parallel()
	s := evolved(t, created(zoe, room.User{ID: "bare"}), joined(alice))
	assert.Equal(t, []room.User{alice, {ID: "bare"}, zoe}, s.MembersAfter("", 9))
}

// An id that could be taken for another is refused by the state too: events may come from
// elsewhere.
func TestAMemberWithAnImpossibleID(t *testing.T) {
	t.Parallel()
	s := evolved(t, created(zoe))
	before := *s
	for _, id := range []string{"", "a\x00{}", "a\nb"} {
		e := joined(room.User{ID: id})
		e.Room, e.Data.Room.ID, e.Seq, e.Expected, e.Version = "r", "r", 99, s.Seq, 2
		require.Error(t, room.Evolve(s, e))
		assert.Equal(t, &before, s)
	}
	var never room.State
	e := created(room.User{ID: "\x00"})
	e.Room, e.Data.Room.ID, e.Seq, e.Version = "r", "r", 1, 1
	require.Error(t, room.Evolve(&never, e))
	assert.Zero(t, never)
}

// States that differ in anything have different hashes; how they came about does not matter.
func TestTheHashCoversEverything(t *testing.T) {
	t.Parallel()
	seen := make(map[uint64]string)
	for name, s := range states(t) {
		hash := s.Hash("r")
		assert.Empty(t, seen[hash], name)
		seen[hash] = name
		if s.Seq > 0 {
			assert.NotEqual(t, hash, s.Hash("q"), name)
		}
	}
	assert.Zero(t, (&room.State{}).Hash("r"))

	renamed := created(zoe)
	renamed.Data.Room.CustomFields = map[string]any{"n": json.Number("1")}
	changed := alice
	changed.Name = "other"
	for name, other := range map[string]*room.State{
		"the record": evolved(t, renamed, joined(alice)),
		"a member":   evolved(t, created(zoe), joined(changed)),
	} {
		assert.NotEqual(t, evolved(t, created(zoe), joined(alice)).Hash("r"), other.Hash("r"), name)
	}

	one, other := evolved(t, created(zoe), joined(alice), joined(bob)), evolved(t, created(zoe), joined(bob), joined(alice))
	assert.Equal(t, one.Hash("r"), other.Hash("r"))
}

// Whatever is decoded can be used, and written again.
func FuzzDecodeState(f *testing.F) {
	for _, s := range states(f) {
		f.Add(must(s.AppendBinary(nil)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := room.DecodeState("r", data)
		if err != nil {
			return
		}
		s.MembersAfter("", len(data))
		again, err := room.DecodeState("r", must(s.AppendBinary(nil)))
		require.NoError(t, err)
		require.Equal(t, s.Hash("r"), again.Hash("r"))
	})
}
