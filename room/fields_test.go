package room_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
)

func TestInt(t *testing.T) {
	t.Parallel()
	type level uint8
	for name, row := range map[string]struct {
		field any
		want  any // int64, nil for a field that is absent, or an error's text
	}{
		"null":                       {nil, nil},
		"JSON number":                {json.Number("5"), int64(5)},
		"JSON number with .0":        {json.Number("5.0"), int64(5)},
		"JSON number as 5e0":         {json.Number("5e0"), int64(5)},
		"JSON number as 1.50E+1":     {json.Number("1.50E+1"), int64(15)},
		"JSON number as 0.05e2":      {json.Number("0.05e2"), int64(5)},
		"JSON number as -100e-2":     {json.Number("-100e-2"), int64(-1)},
		"zero as -0.0":               {json.Number("-0.0"), int64(0)},
		"zero with an exponent":      {json.Number("0e999999999999999999999"), int64(0)},
		"2^53+1":                     {json.Number("9007199254740993"), int64(9007199254740993)},
		"2^53+1 as .0":               {json.Number("9007199254740993.0"), int64(9007199254740993)},
		"largest":                    {json.Number("9223372036854775807"), int64(math.MaxInt64)},
		"smallest":                   {json.Number("-9223372036854775808"), int64(math.MinInt64)},
		"smallest with exponent":     {json.Number("-922337203685477580.8e1"), int64(math.MinInt64)},
		"one too large":              {json.Number("9223372036854775808"), `field "max" must be a whole number of at most 64 bits, not 9223372036854775808`},
		"one too small":              {json.Number("-9223372036854775809"), "whole number"},
		"huge exponent":              {json.Number("1e1000000000"), "whole number"},
		"exponent beyond int":        {json.Number("1e99999999999999999999"), "whole number"},
		"fraction":                   {json.Number("5.5"), `field "max" must be a whole number of at most 64 bits, not 5.5`},
		"tiny fraction":              {json.Number("1e-99999999999999999999"), "whole number"},
		"digits and a huge exponent": {json.Number("0.15e-99999999999999999999"), "whole number"},
		"no number":                  {json.Number("five"), "whole number"},
		"empty number":               {json.Number(""), "whole number"},
		"text":                       {"5", `not "5"`},
		"flag":                       {true, "not true"},
		"list":                       {[]any{json.Number("5")}, "not [5]"},
		"object":                     {map[string]any{}, "not {}"},
		"int":                        {5, int64(5)},
		"int8":                       {int8(-5), int64(-5)},
		"named uint8":                {level(5), int64(5)},
		"uint64":                     {uint64(math.MaxInt64), int64(math.MaxInt64)},
		"uint64 beyond int64":        {uint64(math.MaxInt64) + 1, "not 9223372036854775808"},
		"float64":                    {5.0, int64(5)},
		"float32":                    {float32(5), int64(5)},
		"float64 with a fraction":    {5.5, "not 5.5"},
		"float64 2^63":               {float64(1 << 63), "whole number"},
		"float64 -2^63":              {float64(-1 << 63), int64(math.MinInt64)},
		"NaN":                        {math.NaN(), "not NaN"},
		"infinity":                   {math.Inf(1), "not +Inf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, ok, err := room.Int(map[string]any{"max": row.field}, "max")
			requireRead(t, row.want, value, ok, err)
		})
	}
	_, ok, err := room.Int(nil, "max")
	require.NoError(t, err)
	assert.False(t, ok)
}

func TestFloat(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		field any
		want  any
	}{
		"null":                 {nil, nil},
		"JSON number":          {json.Number("0.1"), 0.1},
		"JSON whole number":    {json.Number("5"), 5.0},
		"zero":                 {json.Number("0.0"), 0.0},
		"2^53":                 {json.Number("9007199254740992"), float64(1 << 53)},
		"2^53+1":               {json.Number("9007199254740993"), "float64 holds exactly"},
		"2^53+1 as .0":         {json.Number("9007199254740993.0"), "float64 holds exactly"},
		"int64 beyond float64": {int64(math.MaxInt64), "float64 holds exactly"},
		"2^63":                 {json.Number("9223372036854775808"), float64(1 << 63)},
		"2^64-1":               {json.Number("18446744073709551615"), "float64 holds exactly"},
		"uint64 2^64-1":        {uint64(math.MaxUint64), "float64 holds exactly"},
		"beyond 64 bits":       {json.Number("1e23"), 1e23},
		"too large":            {json.Number("1e400"), "range of float64"},
		"too small":            {json.Number("1e-400"), "range of float64"},
		"no number":            {json.Number("0x1p-2"), "a number"},
		"int":                  {-5, -5.0},
		"float32":              {float32(0.5), 0.5},
		"NaN":                  {math.NaN(), "range of float64"},
		"infinity":             {math.Inf(-1), "range of float64"},
		"text":                 {"0.1", `field "max" must be a number, not "0.1"`},
		"flag":                 {false, "a number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, ok, err := room.Float(map[string]any{"max": row.field}, "max")
			requireRead(t, row.want, value, ok, err)
		})
	}
}

func TestTextAndFlags(t *testing.T) {
	t.Parallel()
	fields := map[string]any{
		"text": "gold", "named": room.Channel, "number": json.Number("5"), "flag": true, "null": nil,
		"list": []any{"a", "b"}, "plain": []string{"a"}, "mixed": []any{"a", json.Number("1")}, "gap": []any{"a", nil}, "none": []any{},
	}
	for name, want := range map[string]any{"text": "gold", "named": "channel", "null": nil, "absent": nil, "number": "a string, not 5", "flag": "a string"} {
		value, ok, err := room.String(fields, name)
		requireRead(t, want, value, ok, err)
	}
	for name, want := range map[string]any{"flag": true, "null": nil, "absent": nil, "text": "true or false", "number": "true or false"} {
		value, ok, err := room.Bool(fields, name)
		requireRead(t, want, value, ok, err)
	}
	for name, want := range map[string]any{
		"list": []string{"a", "b"}, "plain": []string{"a"}, "none": []string{}, "null": nil, "absent": nil,
		"mixed": "a list of strings", "gap": "a list of strings", "text": "a list of strings",
	} {
		value, ok, err := room.Strings(fields, name)
		requireRead(t, want, value, ok, err)
	}
}

// requireRead compares the result of a read with the wanted value, absence, or error text.
func requireRead[V any](t *testing.T, want any, value V, ok bool, err error) {
	t.Helper()
	text, isText := want.(string)
	if is, isValue := any(value).(string); isText && (!isValue || err != nil || is != text) {
		var wrong *room.FieldError
		require.ErrorAs(t, err, &wrong)
		assert.ErrorContains(t, err, text)
		assert.False(t, ok)
		assert.Zero(t, value)
		return
	}
	require.NoError(t, err)
	assert.Equal(t, want != nil, ok)
	if want == nil {
		assert.Zero(t, value)
		return
	}
	assert.Equal(t, want, any(value))
}

// A whole number keeps its value through JSON, in any notation.
func TestInt_IsExactThroughJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		ending := rapid.SampledFrom([]string{"", ".0", "e0", ".0e0", ".000E+0"}).Draw(t, "ending")
		number, err := json.Marshal(n)
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, room.Decode([]byte(`{"n":`+string(number)+ending+`}`), &fields))
		got, ok, err := room.Int(fields, "n")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, n, got)
	})
}

func TestFieldError_QuotesLittleOfALongValue(t *testing.T) {
	t.Parallel()
	_, _, err := room.Int(map[string]any{"n": strings.Repeat("x", room.MaxRoomBytes)}, "n")
	require.Error(t, err)
	assert.LessOrEqual(t, len(err.Error()), room.MaxReasonBytes)
}
