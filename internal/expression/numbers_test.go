package expression_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

func TestNumbers_CustomFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ number, holds string }{
		{`5`, `n == 5 && n == 5.0 && n > 3 && n > 3.5 && n < 5.5 && n in [4, 5] && n in [5.0] && type(n) == int`},
		{`5`, `n % 2 == 1 && n / 2 == 2 && room.memberCount < n`},
		{`5.0`, `n == 5 && n % 2 == 1 && type(n) == int`},
		{`5e0`, `n == 5 && type(n) == int`},
		{`500e-2`, `n == 5 && type(n) == int`},
		{`0.05E+2`, `n == 5 && type(n) == int`},
		{`1e3`, `n == 1000 && type(n) == int`},
		{`-1.20e1`, `n == -12 && type(n) == int`},
		{`-0`, `n == 0 && type(n) == int`},
		{`-0.0`, `n == 0 && type(n) == int`},
		{`0e1000000000`, `n == 0 && type(n) == int`},
		{`2.5`, `n == 2.5 && n > 2 && n < 3 && n in [2.5] && type(n) == double`},
		{`0.1`, `n == 0.1 && type(n) == double`},
		{`25e-1`, `n == 2.5 && type(n) == double`},
		{`9007199254740992.0`, `n == 9007199254740992 && type(n) == int`},
		{`9007199254740993.0`, `n == 9007199254740993 && n != 9007199254740992 && n > 9007199254740992 && type(n) == int`},
		{`9007199254740993e0`, `n == 9007199254740993 && n in [9007199254740993] && !(n in [9007199254740992]) && type(n) == int`},
		{`-90071992547409930e-1`, `n == -9007199254740993 && n < -9007199254740992 && type(n) == int`},
		{`9223372036854775807`, `n == 9223372036854775807 && n != 9223372036854775806 && type(n) == int`},
		{`9223372036854775807.0`, `n == 9223372036854775807 && n != 9223372036854775806 && type(n) == int`},
		{`-9223372036854775808`, `n == -9223372036854775808 && type(n) == int`},
		{`9223372036854775808`, `n == 9223372036854775808u && n > 9223372036854775807 && n > 1.5 && n != 5 && type(n) == uint`},
		{`9223372036854775808e0`, `n >= 9223372036854775807 && n == 9223372036854775808.0 && type(n) == uint`},
		{`12345678901234567890`, `n > 9223372036854775807 && n in [12345678901234567890u] && !(n in [12345678901234567891u]) && type(n) == uint`},
		{`18446744073709551615.0`, `n == 18446744073709551615u && n > -1 && -1 < n && n > 18446744073709551614u && type(n) == uint`},
		{`0.` + strings.Repeat("3", 1000), `n == 0.3333333333333333 && type(n) == double`},
		{`1.` + strings.Repeat("0", 1000), `n == 1 && type(n) == int`},
		{`1` + strings.Repeat("0", 1000) + `e-999`, `n == 10 && type(n) == int`},
		{`0.` + strings.Repeat("0", 1000) + `1e1001`, `n == 1 && type(n) == int`},
		// Slightly more than halfway between two doubles: the last digit decides.
		{`9007199254740992.5`, `n == 9007199254740992.0 && type(n) == double`},
		{`9007199254740993.` + strings.Repeat("0", 900) + `1`, `n == 9007199254740994.0 && type(n) == double`},
		{`1e-999`, `n == 0`},
		{`1e-1000000000`, `n == 0`},
		{`1e-99999999999999999999999`, `n == 0`},
	} {
		for place, path := range map[string]string{
			`{"n":%s}`:                 `room.customFields.n`,
			`{"o":{"n":%s}}`:           `room.customFields.o.n`,
			`{"l":[null,%s]}`:          `room.customFields.l[1]`,
			`{"l":[[{"n":%s}],"x"]}`:   `room.customFields.l[0][0].n`,
			`{"n":%s,"other":[1,"b"]}`: `room.customFields["n"]`,
		} {
			fields := fmt.Sprintf(place, c.number)
			t.Run(fmt.Sprintf("%.80s %s", fields, c.holds), func(t *testing.T) {
				t.Parallel()
				e := event(t, `{"room":{"id":"r","customFields":`+fields+`},"joiningUser":{"id":"u","attributes":`+fields+`}}`)
				source := fmt.Sprintf(`[%s].exists(n, %s)`, path, c.holds)
				holds, err := compiled(t, room.PreRoomUserJoined, source).Holds(e)
				require.NoError(t, err)
				assert.True(t, holds)
			})
		}
	}
}

func TestNumbers_EqualAtAnyDepth(t *testing.T) {
	t.Parallel()
	e := event(t, `{"room":{"id":"r","customFields":{"a":[1,{"b":2.0}],"c":[1.0,{"b":2}]}}}`)
	holds, err := compiled(t, room.PreRoomUserJoined,
		`room.customFields.a == room.customFields.c && room.customFields.a == [1, {"b": 2}] && {"b": 2} in room.customFields.a`).Holds(e)
	require.NoError(t, err)
	assert.True(t, holds)
}

// The value does not depend on the notation of a number.
func TestNumbers_KeepValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,21})(\.[0-9]{1,6})?([eE][-+]?[0-9]{1,2})?`).Draw(t, "number")
		want, ok := new(big.Rat).SetString(text)
		require.True(t, ok)
		literal := ""
		switch {
		case !want.IsInt():
			f, _ := want.Float64()
			literal = strconv.FormatFloat(f, 'e', -1, 64)
		case want.Num().IsInt64():
			literal = want.Num().String()
		case want.Num().IsUint64():
			literal = want.Num().String() + "u"
		}
		e := expression.Event{Data: &room.Data{Room: room.Room{CustomFields: map[string]any{"n": json.Number(text)}}}}
		if literal == "" {
			literal = "0"
		}
		source := fmt.Sprintf(`room.customFields.n == %[1]s && type(room.customFields.n) == type(%[1]s)`, literal)
		c, err := expression.Compile(room.PreRoomUserJoined, source)
		require.NoError(t, err)
		holds, err := c.Holds(e)
		if want.IsInt() && !want.Num().IsInt64() && !want.Num().IsUint64() {
			require.ErrorContains(t, err, "is beyond 64 bits")
			return
		}
		require.NoError(t, err)
		require.True(t, holds, source)
	})
}

// A number beyond all 64-bit types is an error wherever an expression reads it.
func TestNumbers_BeyondAllTypesFail(t *testing.T) {
	t.Parallel()
	for number, says := range map[string]string{
		`18446744073709551616`:                "whole number 18446744073709551616 is beyond 64 bits",
		`18446744073709551616.0`:              "is beyond 64 bits",
		`-9223372036854775809`:                "is beyond 64 bits",
		`1e20`:                                "whole number 1e20 is beyond 64 bits",
		`1e300`:                               "is beyond 64 bits",
		`1e999`:                               "is beyond 64 bits",
		`-1e1000000000`:                       "whole number -1e1000000000 is beyond 64 bits",
		`1e99999999999999999999`:              "is beyond 64 bits",
		strings.Repeat("9", 1000):             "… (1000 characters) is beyond 64 bits",
		strings.Repeat("9", 1000) + `.5`:      "is too large for a double",
		`1.` + strings.Repeat("0", 1023):      "… (1025 characters) is too long: at most 1024 characters are read",
		`1` + strings.Repeat("0", 310) + `.1`: "is too large for a double",
	} {
		e := event(t, `{"room":{"id":"r","customFields":{"n":`+number+`,"l":[1,`+number+`],"m":[1,`+number+`],"o":{"a":{"n":`+number+`}}}},"joiningUser":{"id":"u","attributes":{"l":[1,2]}}}`)
		for _, source := range []string{
			`room.customFields.n == 5`,
			`room.customFields.n != 5`,
			`room.customFields.n > 5`,
			`5 < room.customFields.o.a.n`,
			`room.customFields.n in [5]`,
			`type(room.customFields.n) == double`,
			`room.customFields.l[1] == 2`,
			`room.customFields.l.exists(n, n == 2)`,
			`5 in room.customFields.l`,
			`room.customFields.l == user.attributes.l`,
			`user.attributes.l == room.customFields.l`,
			`room.customFields.l == [1, 2]`,
			`[1, 2] == room.customFields.l`,
			`[[1, 2]] != [room.customFields.l]`,
			`room.customFields.l == room.customFields.m`,
			`room.customFields.l + [3] == [1, 2, 3]`,
			`room.customFields.l in [[1, 2]]`,
			`[1, 2] in [room.customFields.l]`,
			`room.customFields.o == {"a": {"n": 5}}`,
			`{"a": {"n": 5}} != room.customFields.o`,
		} {
			holds, err := compiled(t, room.PreRoomUserJoined, source).Holds(e)
			require.ErrorContains(t, err, says, source)
			assert.False(t, holds)
		}
		for _, source := range []string{
			`has(room.customFields.n)`,
			`room.customFields.l[0] == 1`,
			`1 in room.customFields.l`,
			`room.customFields.size() == 4`,
		} {
			holds, err := compiled(t, room.PreRoomUserJoined, source).Holds(e)
			require.NoError(t, err, source)
			assert.True(t, holds, source)
		}
	}
}

func TestNumbers_InvalidNumberFails(t *testing.T) {
	t.Parallel()
	e := expression.Event{Data: &room.Data{Room: room.Room{CustomFields: map[string]any{"n": json.Number("five")}}}}
	_, err := compiled(t, room.PreRoomUserJoined, `room.customFields.n == 5`).Holds(e)
	assert.ErrorContains(t, err, `"five" is no number`)
}
