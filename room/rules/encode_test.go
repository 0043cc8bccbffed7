package rules_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

var zoe = room.User{
	ID: "zoë z", Username: "zoe", Name: "Zoë <&>", Roles: []string{"admin"},
	Attributes: map[string]any{"badge": json.Number("9007199254740993"), "of": map[string]any{"a": nil}},
}

// evolved returns the state of room r after the events.
func evolved(t testing.TB, events ...room.Event) *rules.State {
	t.Helper()
	var s rules.State
	for _, e := range events {
		e.Room, e.Data.Room.ID = "r", "r"
		e.Seq, e.Expected, e.Version = s.Seq+7, s.Seq, 1
		if s.Room != nil {
			e.Version = s.Room.Version + 1
		}
		require.NoError(t, rules.Evolve(&s, e))
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
	return room.Event{Type: room.EventUserJoin, Time: at, Data: room.Data{JoiningUser: &u}}
}

func left(u room.User) room.Event {
	return room.Event{Type: room.EventUserLeave, Data: room.Data{LeavingUser: &u}}
}

func updated(change func(*room.Room)) room.Event {
	e := created()
	change(&e.Data.Room)
	return room.Event{Type: room.EventUpdate, Data: room.Data{Room: e.Data.Room}}
}

func userUpdated(u room.User) room.Event {
	return room.Event{Type: room.EventUserUpdate, Time: at, Data: room.Data{UserAfter: &u}}
}

var deleted = room.Event{Type: room.EventDelete, Time: at}

func states(t testing.TB) map[string]*rules.State {
	skipped := evolved(t, created(zoe))
	skipped.Skip(99)
	return map[string]*rules.State{
		"never":          {},
		"without anyone": evolved(t, created()),
		"alone":          evolved(t, created(zoe)),
		"with members":   evolved(t, created(zoe, bob), joined(alice), left(bob)),
		"deleted":        evolved(t, created(zoe), joined(alice), deleted),
		"recreated":      evolved(t, created(zoe), deleted, created(bob)),
		"skipped":        skipped,
		"updated":        evolved(t, created(zoe), updated(func(r *room.Room) { r.DisplayName, r.CustomFields = "S", nil })),
		"member updated": evolved(t, created(zoe, bob), userUpdated(room.User{ID: bob.ID, Roles: []string{"moderator"}})),
	}
}

func TestState_EncodeDecode(t *testing.T) {
	t.Parallel()
	for name, s := range states(t) {
		data, err := s.AppendBinary([]byte("before"))
		require.NoError(t, err)
		read, err := rules.DecodeState("r", data[len("before"):])
		require.NoError(t, err, name)
		assert.Equal(t, s.Hash("r"), read.Hash("r"), name)
		assert.Equal(t, s.View(room.JoinRequest{User: zoe}), read.View(room.JoinRequest{User: zoe}), name)
		assert.Equal(t, s.Applied, read.Applied, name)
		assert.Equal(t, s.MembersAfter("", 9), read.MembersAfter("", 9), name)
		size := func(n uint64) int { return len(binary.AppendUvarint(nil, n)) }
		latestAt := size(uint64(s.View(room.JoinRequest{User: zoe}).LatestAt.UnixMicro()))
		updates := 0
		if s.Latest.Update > 0 || s.Latest.UserUpdate > 0 {
			updates = size(s.Latest.Update) + size(s.Latest.UserUpdate)
		}
		for n := range data[len("before"):] {
			older, err := rules.DecodeState("r", data[len("before"):len(data)-1-n])
			if cut := n + 1; cut == updates || cut == updates+latestAt { // the encodings of older versions end here
				require.NoError(t, err, name)
				assert.Equal(t, updates == 0, s.Hash("r") == older.Hash("r"), name)
				continue
			}
			require.Error(t, err, "%s, cut by %d", name, n+1)
		}
		_, err = rules.DecodeState("r", append(data[len("before"):], 0))
		require.Error(t, err, name)
	}
}

// A state that was written before there were updates is read as it is, and has the same hash.
func TestDecodeState_BeforeUpdates(t *testing.T) {
	t.Parallel()
	const (
		written = "FRUHAA4VAJEBAwFSAXIHY2hhbm5lbAFkAXACGzIwMjYtMDEtMDJUMTU6MDQ6MDUuNjc4OTAxWgZ6b8OrIHo/A3pvZQhab8OrIDwmPgEFYWRtaW4qeyJiYWRnZSI6OTAwNzE5OTI1NDc0MDk5" +
			"Mywib2YiOnsiYSI6bnVsbH19G3sibGlzdCI6WyJhIix0cnVlXSwibiI6MS4wfQI2YWxpY2UAB2FsaWNlLmEFQWxpY2UBBWFkbWluGnsiYmFkZ2UiOjkwMDcxOTkyNTQ3NDA5OTN9Rnpvw6sgegADem9l" +
			"CFpvw6sgPCY+AQVhZG1pbip7ImJhZGdlIjo5MDA3MTk5MjU0NzQwOTkzLCJvZiI6eyJhIjpudWxsfX21/ouqkO2RAw=="
		hash = 6319541761151988189
	)
	data, err := base64.StdEncoding.DecodeString(written)
	require.NoError(t, err)
	read, err := rules.DecodeState("r", data)
	require.NoError(t, err)
	assert.EqualValues(t, hash, read.Hash("r"))
	now := evolved(t, created(zoe, bob), joined(alice), left(bob))
	assert.EqualValues(t, hash, now.Hash("r"))
	assert.Equal(t, data, must(now.AppendBinary(nil)), "an older service can read it too")
}

func must(b []byte, _ error) []byte { return b }

func TestDecodeState_Refuses(t *testing.T) {
	t.Parallel()
	numbers := []byte{1, 1, 1, 0, 0, 0, 0}
	record := func(at string, creator ...byte) []byte {
		r := slices.Concat([]byte{1, 0, 1, 'r', 0, 0, 0, 0, byte(len(at))}, []byte(at), []byte{1, 'u', byte(len(creator))}, creator, []byte{0})
		return slices.Concat(numbers, []byte{byte(len(r))}, r)
	}
	good := record("2026-01-02T03:04:05Z", 0, 0, 0, 0)
	and := func(b []byte, more ...byte) []byte { return slices.Concat(b, more) }
	_, err := rules.DecodeState("r", and(good, 2, 1, 'a', 1, 'b'))
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"nothing":                nil,
		"members out of order":   and(good, 2, 1, 'b', 1, 'a'),
		"a member twice":         and(good, 2, 1, 'a', 3, 'a', 0, 'x'),
		"one member too few":     and(good, 1, 1, 'a', 1, 'b'),
		"a number beyond all":    binary.AppendUvarint(slices.Clone(good), math.MaxUint64),
		"members of nothing":     and(numbers, 0, 1, 1, 'a'),
		"a record of one byte":   and(numbers, 1, 1, 0),
		"a record without time":  and(record("", 0, 0, 0, 0), 0),
		"a creator without end":  and(record("2026-01-02T03:04:05Z", 0, 0, 1), 0),
		"more than a creator":    and(record("2026-01-02T03:04:05Z", 0, 0, 0, 0, 0), 0),
		"attributes of no JSON":  and(record("2026-01-02T03:04:05Z", 0, 0, 0, 1, '{'), 0),
		"a number without end":   bytes.Repeat([]byte{0xff}, 20),
		"a text longer than all": and(numbers, 100, '{'),
	} {
		_, err := rules.DecodeState("r", slices.Clone(data))
		assert.Error(t, err, name)
	}
}

// Encoding and decoding a member gives the same user.
func TestState_MemberKeepsAllFields(t *testing.T) {
	t.Parallel()
	s := evolved(t, created(zoe, room.User{ID: "bare"}), joined(alice))
	assert.Equal(t, []room.User{alice, {ID: "bare"}, zoe}, s.MembersAfter("", 9))
}

// Every field of a record and a user must be encoded, including fields that are added later.
func TestState_EncodesEveryField(t *testing.T) {
	t.Parallel()
	e := created(zoe)
	e.Data.Room.IsDefault, e.Data.Room.DisplaySystemMessages = true, true
	s := evolved(t, e)
	for _, v := range []reflect.Value{reflect.ValueOf(*s.Room), reflect.ValueOf(zoe)} {
		for n := range v.NumField() {
			require.False(t, v.Field(n).IsZero(), "%s.%s must be set here", v.Type(), v.Type().Field(n).Name)
		}
	}
	read, err := rules.DecodeState("r", must(s.AppendBinary(nil)))
	require.NoError(t, err)
	assert.Equal(t, s.Room, read.Room)
	assert.Equal(t, []room.User{zoe}, read.MembersAfter("", 9))
}

// The flags of a record are encoded in one byte.
func TestState_EncodesEveryFlag(t *testing.T) {
	t.Parallel()
	seen := make(map[uint64]bool)
	for set := range 8 {
		e := created(zoe)
		e.Data.Room.IsDefault, e.Data.Room.IsReadOnly, e.Data.Room.DisplaySystemMessages = set&1 != 0, set&2 != 0, set&4 != 0
		s := evolved(t, e)
		read, err := rules.DecodeState("r", must(s.AppendBinary(nil)))
		require.NoError(t, err)
		assert.Equal(t, s.Room, read.Room)
		seen[s.Hash("r")] = true
	}
	assert.Len(t, seen, 8)
}

// The state refuses an ambiguous user id too, because events may come from other writers.
func TestState_InvalidMemberIDIsRefused(t *testing.T) {
	t.Parallel()
	s := evolved(t, created(zoe))
	before := *s
	for _, id := range []string{"", "a\x00{}", "a\nb"} {
		e := joined(room.User{ID: id})
		e.Room, e.Data.Room.ID, e.Seq, e.Expected, e.Version = "r", "r", 99, s.Seq, 2
		require.Error(t, rules.Evolve(s, e))
		assert.Equal(t, &before, s)
	}
	var never rules.State
	e := created(room.User{ID: "\x00"})
	e.Room, e.Data.Room.ID, e.Seq, e.Version = "r", "r", 1, 1
	require.Error(t, rules.Evolve(&never, e))
	assert.Zero(t, never)
}

// Different states have different hashes. Equal states have equal hashes, also after different events.
func TestState_HashCoversEverything(t *testing.T) {
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
	assert.Zero(t, (&rules.State{}).Hash("r"))

	renamed := created(zoe)
	renamed.Data.Room.CustomFields = map[string]any{"n": json.Number("1")}
	changed := alice
	changed.Name = "other"
	for name, other := range map[string]*rules.State{
		"the record": evolved(t, renamed, joined(alice)),
		"a member":   evolved(t, created(zoe), joined(changed)),
	} {
		assert.NotEqual(t, evolved(t, created(zoe), joined(alice)).Hash("r"), other.Hash("r"), name)
	}

	one, other := evolved(t, created(zoe), joined(alice), joined(bob)), evolved(t, created(zoe), joined(bob), joined(alice))
	assert.Equal(t, one.Hash("r"), other.Hash("r"))
}

// Every decoded state can be used and encoded again.
func FuzzDecodeState(f *testing.F) {
	for _, s := range states(f) {
		f.Add(must(s.AppendBinary(nil)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := rules.DecodeState("r", data)
		if err != nil {
			return
		}
		s.MembersAfter("", len(data))
		again, err := rules.DecodeState("r", must(s.AppendBinary(nil)))
		require.NoError(t, err)
		require.Equal(t, s.Hash("r"), again.Hash("r"))
	})
}
