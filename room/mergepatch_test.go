package room_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
)

func TestMergePatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ original, patch, result string }{
		// RFC 7396, appendix A.
		"A1":  {`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		"A2":  {`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		"A3":  {`{"a":"b"}`, `{"a":null}`, `{}`},
		"A4":  {`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		"A5":  {`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		"A6":  {`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		"A7":  {`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		"A8":  {`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		"A9":  {`["a","b"]`, `["c","d"]`, `["c","d"]`},
		"A10": {`{"a":"b"}`, `["c"]`, `["c"]`},
		"A11": {`{"a":"foo"}`, `null`, `null`},
		"A12": {`{"a":"foo"}`, `"bar"`, `"bar"`},
		"A13": {`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		"A14": {`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		"A15": {`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},

		"nulls in an array":           {`{"a":1}`, `{"a":[null,{"b":null,"c":[null]}]}`, `{"a":[null,{"b":null,"c":[null]}]}`},
		"a null that stays":           {`{"a":{"b":null,"c":1}}`, `{"a":{"c":2}}`, `{"a":{"b":null,"c":2}}`},
		"a name that is not there":    {`{"a":1}`, `{"b":null}`, `{"a":1}`},
		"an object over an array":     {`{"a":[{"b":1}]}`, `{"a":{"c":null,"d":2}}`, `{"a":{"d":2}}`},
		"numbers as they are written": {`{"a":1.50,"b":{"c":9007199254740993}}`, `{"d":12345678901234567890,"e":[1e999,-0.0]}`, `{"a":1.50,"b":{"c":9007199254740993},"d":12345678901234567890,"e":[1e999,-0.0]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := room.MergePatch([]byte(c.original), []byte(c.patch))
			require.NoError(t, err)
			assert.Equal(t, c.result, string(result))
		})
	}
}

func TestMergePatch_RefusesInvalidJSON(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{`{`, `{}`}, {`{}`, `{`}, {`{}`, ``}, {`{}`, `{"a":1,"a":2}`}, {`{}`, `{"a":"\ud800"}`}} {
		_, err := room.MergePatch([]byte(c[0]), []byte(c[1]))
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, c)
		_, _, err = room.CreateMergePatch([]byte(c[0]), []byte(c[1]))
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, c)
	}
}

func TestCreateMergePatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after, patch string
		exact                bool
	}{
		"the same":              {`{"a":{"b":[1,null]},"c":null}`, `{"c":null,"a":{"b":[1,null]}}`, `{}`, true},
		"changed and removed":   {`{"a":1,"b":{"c":1,"d":2},"e":3}`, `{"a":2,"b":{"c":1}}`, `{"a":2,"b":{"d":null},"e":null}`, true},
		"emptied":               {`{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":null}}`, true},
		"nulls in an array":     {`{"a":[1]}`, `{"a":[null,{"b":null}]}`, `{"a":[null,{"b":null}]}`, true},
		"a null removed":        {`{"a":null,"b":1}`, `{"b":1}`, `{"a":null}`, true},
		"another number":        {`{"a":5}`, `{"a":5.0}`, `{"a":5.0}`, true},
		"a null set":            {`{"a":1}`, `{"a":null}`, `{"a":null}`, false},
		"a null added":          {`{}`, `{"a":null}`, `{"a":null}`, false},
		"a null in a new value": {`{"a":1}`, `{"a":{"b":{"c":null}}}`, `{"a":{"b":{"c":null}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patch, exact, err := room.CreateMergePatch([]byte(c.before), []byte(c.after))
			require.NoError(t, err)
			assert.Equal(t, c.patch, string(patch))
			assert.Equal(t, c.exact, exact)
		})
	}
}

// anyJSON draws values of custom fields.
func anyJSON(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.StringN(0, 3, -1), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"0", "5", "5.0", "-0.0", "1e999", "9007199254740993"}), func(n string) any { return json.Number(n) }),
	)
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(
		leaf,
		rapid.Map(rapid.SliceOfN(anyJSON(depth-1), 0, 3), func(l []any) any { return l }),
		rapid.Map(fields(depth-1), func(m map[string]any) any { return m }),
	)
}

// fields draws objects that share names.
func fields(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", ""}), anyJSON(depth), 0, 3)
}

// anyRoom draws a room that differs from full in some fields.
func anyRoom(t *rapid.T, label string) room.Room {
	r := full
	r.CustomFields = fields(3).Draw(t, label+" customFields")
	r.Creator.Attributes = fields(2).Draw(t, label+" attributes")
	r.Description = rapid.SampledFrom([]string{"", "d", "e"}).Draw(t, label+" description")
	r.Creator.Roles = rapid.SliceOfN(rapid.SampledFrom([]string{"admin", ""}), 0, 2).Draw(t, label+" roles")
	r.IsDefault = rapid.Bool().Draw(t, label+" isDefault")
	return r
}

// An exact merge patch changes the room before into after. A merge patch is exact unless it has to set
// a null.
func TestCreateMergePatch_BetweenRooms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		was, is := anyRoom(t, "before"), anyRoom(t, "after")
		if rapid.Bool().Draw(t, "small change") {
			is = was
			is.CustomFields = maps.Clone(was.CustomFields)
			is.CustomFields["a"] = anyJSON(2).Draw(t, "a")
		}
		before, after := rewritten(t, was), rewritten(t, is)
		patch, exact, err := room.CreateMergePatch(before, after)
		require.NoError(t, err)
		patched, err := room.MergePatch(before, patch)
		require.NoError(t, err)
		if exact {
			var read room.Room
			require.NoError(t, room.Decode(patched, &read))
			require.Equal(t, string(after), string(rewritten(t, read)), "to the digit")
			return
		}
		require.True(t, setsNull(decoded(t, before), decoded(t, after)))
	})
}

func decoded(t require.TestingT, document []byte) (value any) {
	require.NoError(t, room.Decode(document, &value))
	return value
}

// setsNull reports whether a member of an object that is not in an array becomes null.
func setsNull(before, after any) bool {
	was, _ := before.(map[string]any)
	is, _ := after.(map[string]any)
	for name, value := range is {
		old, there := was[name]
		if value == nil && (!there || old != nil) || setsNull(old, value) {
			return true
		}
	}
	return false
}

// FuzzMergePatch: an exact patch gives the wanted document; applying any patch twice is the same as
// applying it once.
func FuzzMergePatch(f *testing.F) {
	seeds(f, func(document []byte) { f.Add(document, []byte(`{"id":null,"a":[null]}`)) })
	f.Fuzz(func(t *testing.T, before, after []byte) {
		patch, exact, err := room.CreateMergePatch(before, after)
		if err != nil {
			require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
			return
		}
		if exact {
			patched, err := room.MergePatch(before, patch)
			require.NoError(t, err)
			require.Equal(t, decoded(t, after), decoded(t, patched))
		}
		once, err := room.MergePatch(before, after)
		require.NoError(t, err)
		twice, err := room.MergePatch(once, after)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
	})
}
