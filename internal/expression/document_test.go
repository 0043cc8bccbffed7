package expression_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

func document(t require.TestingT, data string) *expression.Document {
	d, err := expression.NewDocument([]byte(data))
	require.NoError(t, err)
	return d
}

// holds evaluates a bool expression that reads the document d.
func holds(t require.TestingT, source string, d *expression.Document, e expression.Event) (bool, error) {
	l := expression.ForRules(room.PreRoomUserJoined, []string{"d"})
	x, err := l.Compile("rule 1: deny", source, expression.Bool)
	require.NoError(t, err)
	return x.Bool(l.Evaluation(e, expression.Params{"d": d}))
}

func TestNewDocument_Refuses(t *testing.T) {
	t.Parallel()
	for data, says := range map[string]string{
		``:                 "document is not JSON",
		`{"a": 1`:          "document is not JSON",
		`1 2`:              "document is not JSON",
		`{"a": 1, "a": 2}`: "stands there twice",
		`"` + "\xff" + `"`: "UTF-8",
		strings.Repeat("[", 100) + strings.Repeat("]", 100):             "nested deeper",
		`[` + strings.Repeat("0,", expression.MaxDocumentValues) + `0]`: "document has 150002 values; at most 150000 are allowed",
		`"` + strings.Repeat("x", room.MaxParamBytes) + `"`:             "document has 1048578 bytes; at most 1048576 are allowed",
	} {
		_, err := expression.NewDocument([]byte(data))
		require.ErrorContains(t, err, says, "%.20s", data)
		var e *room.Error
		require.ErrorAs(t, err, &e, "%.20s", data)
	}
}

// Every value in a long list of any type and notation is found, and no other value.
func TestDocument_LongListIsSearchedInOneStep(t *testing.T) {
	t.Parallel()
	d := document(t, `{"ids": ["a", "b", "", 1, 2.0, 2.5, 1e3, -7, 18446744073709551615, 9007199254740993, true, null], "nested": [["a"], ["b"]]}`)
	for value, want := range map[string]bool{
		`"a"`: true, `"c"`: false, `""`: true, `1`: true, `1.0`: true, `1u`: true, `2`: true, `2.5`: true, `2.25`: false, `1000`: true,
		`-7`: true, `-7.0`: true, `7`: false, `18446744073709551615u`: true, `18446744073709551614u`: false, `9007199254740993`: true,
		`9007199254740992`: false, `true`: true, `false`: false, `null`: true, `[1]`: false, `{"a": 1}`: false, `user`: false,
		`b"a"`: false, `event.time`: false,
	} {
		got, err := holds(t, `dyn(`+value+`) in params.d.ids`, d, event(t, join))
		require.NoError(t, err, value)
		assert.Equal(t, want, got, value)
	}
	for _, source := range []string{
		`["a"] in params.d.nested`, `params.d.ids.size() == 12`, `params.d.ids[1] == "b"`, `params.d.ids.exists(x, x == 2)`,
		`(params.d.ids + ["z"]).exists(x, x == "z")`, `params.d.ids == params.d.ids`, `"a" in params.d.ids && !("q" in params.d.ids)`,
		`has(params.d) && has(params.d.ids) && !has(params.d.other)`, `params.d.ids.map(x, x).size() == 12`, `type(params.d.ids) == list`,
	} {
		got, err := holds(t, source, d, event(t, join))
		require.NoError(t, err, source)
		assert.True(t, got, source)
	}
}

// A long list and a short one have the same members.
func TestDocument_LongListEqualsShort(t *testing.T) {
	t.Parallel()
	scalar := rapid.SampledFrom([]string{`"a"`, `"b"`, `""`, `0`, `-0.0`, `1`, `1.0`, `1.5`, `1e30`, `9223372036854775807`, `9223372036854775808`, `1e999`, `true`, `false`, `null`, `[]`, `{}`})
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(scalar, 1, 8).Draw(t, "some")
		value := scalar.Draw(t, "value")
		in := func(list []string) (bool, error) {
			d := document(t, fmt.Sprintf(`{"list": [%s], "value": %s}`, strings.Join(list, ","), value))
			return holds(t, `params.d.value in params.d.list`, d, expression.Event{})
		}
		short, shortErr := in(some)
		var long []string
		for range 9 {
			long = append(long, some...)
		}
		got, err := in(long)
		require.Equal(t, shortErr == nil, err == nil, "%v and %v", shortErr, err)
		require.Equal(t, short, got)
	})
}

func TestDocument_Missing(t *testing.T) {
	t.Parallel()
	for source, says := range map[string]string{
		`"a" in params.d`:                   `rule 1: deny: there is no document "d"; put one: roombus param put d FILE`,
		`has(params.d) && "a" in params.d`:  ``,
		`user.id == "a" || "a" in params.d`: `rule 1: deny: 1:16: there is no document "d"; put one: roombus param put d FILE`,
		`user.id == "" || "a" in params.d`:  ``,
	} {
		_, err := holds(t, source, nil, expression.Event{})
		if says == "" {
			require.NoError(t, err, source)
		} else {
			require.EqualError(t, err, says, source)
		}
	}
}

// A long list that has only texts is searched in one step, and is a list like any other.
func TestDocument_LongListOfTexts(t *testing.T) {
	t.Parallel()
	d := document(t, `["", "a", "bc", "ä", "def", "g", "a", "hijk", "10", "l"]`)
	for source, want := range map[string]bool{
		`"" in params.d`: true, `"bc" in params.d`: true, `"ä" in params.d`: true, `"b" in params.d`: false,
		`user.id in params.d`: true, `10 in params.d`: false, `null in params.d`: false, `["a"] in params.d`: false,
		`params.d.size() == 10`: true, `params.d[2] == "bc"`: true, `params.d[9] == "l"`: true,
		`params.d.exists(x, x == "hijk")`: true, `params.d.filter(x, x == "a") == ["a", "a"]`: true,
		`params.d == ["", "a", "bc", "ä", "def", "g", "a", "hijk", "10", "l"]`: true, `params.d == params.d + []`: true,
	} {
		got, err := holds(t, source, d, expression.Event{Data: &room.Data{JoiningUser: &room.User{ID: "l"}}})
		require.NoError(t, err, source)
		assert.Equal(t, want, got, source)
	}
}

// A rule returns what the event and a document have as JSON digit by digit.
func TestJSON_KeepsValues(t *testing.T) {
	t.Parallel()
	const list = `["a", "b", "c", "d", "e", "f", "g", "h", 0.10, 12345678901234567890123, null]`
	l := expression.ForRules(room.PreRoomCreateExtend, []string{"d"})
	const texts = `["a", "b", "c", "d", "e", "f", "g", "h", "i"]`
	d := document(t, `{"list": `+list+`, "deep": {"list": `+list+`, "n": 1.50}, "texts": `+texts+`, "in": {"texts": `+texts+`}}`)
	e := expression.Event{Data: &room.Data{Room: room.Room{ID: "r", CustomFields: map[string]any{"n": json.Number("1.500")}}}}
	for source, want := range map[string]string{
		`params.d.list`:             list,
		`params.d.texts`:            texts,
		`params.d["in"]`:            `{"texts": ` + texts + `}`,
		`params.d.deep`:             `{"list": ` + list + `, "n": 1.50}`,
		`[params.d.deep.n]`:         `[1.5]`,
		`room.customFields`:         `{"n": 1.500}`,
		`{"a": [1, 2u, 2.5, true]}`: `{"a": [1, 2, 2.5, true]}`,
		`null`:                      `null`,
		`"text"`:                    `"text"`,
		`duration("90s")`:           `"90s"`,
		`timestamp(0)`:              `"1970-01-01T00:00:00Z"`,
	} {
		x, err := l.Compile("x", source, expression.Any)
		require.NoError(t, err, source)
		v, err := x.JSON(l.Evaluation(e, expression.Params{"d": d}))
		require.NoError(t, err, source)
		data, err := room.Encode(v)
		require.NoError(t, err, source)
		assert.Equal(t, strings.ReplaceAll(want, " ", ""), strings.ReplaceAll(string(data), " ", ""), source)
	}
	for source, says := range map[string]string{
		`b"a"`: `x: a bytes is no value of JSON`, `{1: 2}`: `x: the key 1 is no string`, `[0.0 / 0.0]`: `x: NaN is no number of JSON`,
		`type(1)`: `x: a type is no value of JSON`, `{"a": event}`: `x: a Event is no value of JSON`,
	} {
		x, err := l.Compile("x", source, expression.Any)
		require.NoError(t, err, source)
		_, err = x.JSON(l.Evaluation(e, nil))
		require.EqualError(t, err, says, source)
	}
}

// Matching a long text with a large pattern would take long, and is refused.
func TestMatches_LongText(t *testing.T) {
	t.Parallel()
	e := expression.Event{Data: &room.Data{Room: room.Room{Description: strings.Repeat("x", 40_000)}}}
	_, err := holds(t, `room.description.matches("((x+x+)+y|z)(a|b|c|d|e|f){9}")`, nil, e)
	require.ErrorContains(t, err, "matches: the text has 40000 bytes; with this pattern at most ")
	got, err := holds(t, `room.description.matches("^x+$")`, nil, e)
	require.NoError(t, err)
	assert.True(t, got)
}
