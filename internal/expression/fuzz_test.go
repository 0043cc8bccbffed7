package expression_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// FuzzCompile compiles arbitrary text, and evaluates the result for an event: neither panics, and their
// errors have one line.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		``, `true`, `room.type == "private_group" && user.id.startsWith("bot-")`,
		`event.members.exists(m, m.id in actor.roles)`, `room.customFields.tags[0] == "a"`,
		`has(room.customFields.tier) ? room.customFields.tier == "gold" : false`,
		`room.customFields.map(k, room.customFields[k]).exists_one(v, v == null)`,
		`user.id.matches("^(?i)[a-z]+\\d{2,}$")`, `int(room.slugifiedName) / 0 > 1.5e3`,
		`{"a": [user, actor], 'b': []}.b == [] || b"\xff" != b'' `, `event.time.getDayOfWeek("Europe/Berlin") in [0, 6]`,
		`[1, 2u, 3.0].all(x, dyn(x) < 4) // why not`, "\x00", "ü", `"\u00e9" + r'\d'`, "((((", `room{id: "x"}`, "`a`.b", `a.?b`,
		`type(room) == type(dyn(user))`, `size(bytes(string(room.version))) == 1`, `timestamp(0) - duration("1h") < event.time`,
	} {
		f.Add(seed)
	}
	e := event(f, join)
	f.Fuzz(func(t *testing.T, source string) {
		c, err := expression.Compile(room.PreRoomUserJoined, source)
		if err == nil {
			_, err = c.Holds(e)
		} else {
			require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
		}
		if err != nil {
			requireOneLine(t, err)
		}
	})
}

func requireOneLine(t require.TestingT, err error) {
	require.True(t, utf8.ValidString(err.Error()))
	require.Less(t, len(err.Error()), 400)
	require.Equal(t, -1, strings.IndexFunc(err.Error(), unicode.IsControl), err.Error())
}

func TestHolds_OddDataDoesNotPanic(t *testing.T) {
	t.Parallel()
	var conditions []*expression.Condition
	for _, source := range []string{
		`room.customFields.a == user.attributes.a`, `room.customFields.a < user.attributes.a`,
		`room.customFields.a in user.attributes.a`, `room.customFields.a + user.attributes.a == room.customFields.b`,
		`room.customFields == user.attributes`, `room.customFields.a.b.a == 1`, `has(room.customFields.a.b)`,
		`room.customFields.a[0] == room.customFields[user.id]`, `room.customFields.exists(k, room.customFields[k] == null)`,
		`room.customFields.a.exists(x, x in room.customFields.a)`, `room.customFields.a.map(x, [x, {user.id: x}]) == []`,
		`room.customFields.a in [1, "a", null, 2.5, true]`, `room.customFields.a in ["", "a"]`, `room.customFields.a in [1, 2]`,
		`{room.customFields.a: 1} == {}`, `room.customFields.a.matches("a")`, `room.customFields.a.size() > 1`,
		`int(room.customFields.a) == 1`, `double(room.customFields.a) == 1.0`, `string(room.customFields.a) == "1"`,
		`timestamp(room.customFields.a) < event.time`, `duration(room.customFields.a) == duration("1s")`,
		`bytes(room.customFields.a) == b"a"`, `-room.customFields.a < 1 || !room.customFields.a`,
		`room.customFields.a ? true : room.customFields.b == 1`, `room.createdAt - event.time < duration("1h")`,
		`room.createdAt.getFullYear() + room.memberCount > room.version`, `string(room.createdAt) == room.id`,
		`event.members.exists_one(m, m == actor || m.attributes == room.customFields)`,
	} {
		conditions = append(conditions, compiled(t, room.PreRoomUserJoined, source))
	}
	rapid.Check(t, func(t *rapid.T) {
		e := expression.Event{ID: text(t), Time: moment(t), Data: &room.Data{
			Room: room.Room{
				ID: text(t), Type: room.Type(text(t)), CreatedAt: moment(t), CustomFields: object(t, 3),
				MemberCount: rapid.Int().Draw(t, "count"), Version: rapid.Uint64().Draw(t, "version"),
			},
			Members:     []room.User{{ID: text(t), Attributes: object(t, 2)}},
			JoiningUser: &room.User{ID: text(t), Roles: []string{text(t)}, Attributes: object(t, 3)},
		}}
		for _, c := range conditions {
			if _, err := c.Holds(e); err != nil {
				assert.NotContains(t, err.Error(), "internal error", "the library recovered from a panic")
				requireOneLine(t, err)
			}
		}
	})
}

func text(t *rapid.T) string {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "a", "1", "1s", "2026-03-06T21:30:00Z", "\xff", "\n"}), rapid.String()).Draw(t, "text")
}

func moment(t *rapid.T) time.Time {
	return rapid.SampledFrom([]time.Time{{}, at, at.In(time.FixedZone("", 3600)), time.Unix(1<<40, 0), time.Unix(-1<<40, 0)}).Draw(t, "moment")
}

func object(t *rapid.T, depth int) map[string]any {
	o := make(map[string]any)
	for _, key := range []string{"a", "b", text(t)} {
		if rapid.Bool().Draw(t, "there") {
			o[key] = anything(t, depth-1)
		}
	}
	return o
}

// anything draws a JSON value, and sometimes a value that JSON does not have.
func anything(t *rapid.T, depth int) any {
	kinds := 10
	if depth == 0 {
		kinds = 8
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return json.Number(rapid.SampledFrom([]string{"0", "1", "-1", "2.5", "1e999", "-1e999", "12345678901234567890", "", "x"}).Draw(t, "number"))
	case 3:
		return rapid.Float64().Draw(t, "double")
	case 4:
		return rapid.SampledFrom([]any{math.NaN(), math.Inf(1), uint8(3), []string{"a"}, map[int]any{1: nil}, struct{ A int }{1}, (*int)(nil), make(chan int)}).Draw(t, "odd")
	case 9, 10:
		if rapid.Bool().Draw(t, "object") {
			return object(t, depth)
		}
		return []any{anything(t, depth-1), anything(t, depth-1)}
	}
	return text(t)
}

func TestHolds_DeepDataDoesNotPanic(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 4000) + `1` + strings.Repeat(`}`, 4000)
	e := event(t, `{"room":{"id":"r","customFields":`+deep+`},"joiningUser":{"id":"u","attributes":`+deep+`}}`)
	holds, err := compiled(t, room.PreRoomUserJoined,
		`room.customFields == user.attributes && room.customFields.a.a.a == user.attributes.a.a.a && [room.customFields].size() == 1`).Holds(e)
	require.NoError(t, err)
	assert.True(t, holds)
}
