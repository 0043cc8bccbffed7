package condition_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/condition"
	"github.com/roombus/roombus/room"
)

func TestNumbersOfCustomFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ number, holds string }{
		{`5`, `n == 5 && n == 5.0 && n > 3 && n > 3.5 && n < 5.5 && n in [4, 5] && n in [5.0] && type(n) == int`},
		{`5`, `n % 2 == 1 && n / 2 == 2 && room.memberCount < n`},
		{`5.0`, `n == 5 && n % 2 == 1 && type(n) == int`},
		{`5e0`, `n == 5 && type(n) == int`},
		{`-0`, `n == 0 && type(n) == int`},
		{`-0.0`, `n == 0 && type(n) == int`},
		{`2.5`, `n == 2.5 && n > 2 && n < 3 && n in [2.5] && type(n) == double`},
		{`9223372036854775807`, `n == 9223372036854775807 && n != 9223372036854775806 && type(n) == int`},
		{`-9223372036854775808`, `n == -9223372036854775808 && type(n) == int`},
		{`9223372036854775808`, `n >= 9223372036854775807 && n == 9223372036854775808.0 && type(n) == double`},
		{`12345678901234567890`, `n > 9223372036854775807 && n == 12345678901234567890.0 && type(n) == double`},
		{`9007199254740992.0`, `n == 9007199254740992 && type(n) == int`},
		{`9007199254740994.0`, `n == 9007199254740994 && type(n) == double`},
		{`1e300`, `n > 9223372036854775807 && type(n) == double`},
		{`1e999`, `n > 1e308 && type(n) == double`},
		{`-1e999`, `n < -1e308`},
		{`1e-999`, `n == 0`},
	} {
		for place, path := range map[string]string{
			`{"n":%s}`:                 `room.customFields.n`,
			`{"o":{"n":%s}}`:           `room.customFields.o.n`,
			`{"l":[null,%s]}`:          `room.customFields.l[1]`,
			`{"l":[[{"n":%s}],"x"]}`:   `room.customFields.l[0][0].n`,
			`{"n":%s,"other":[1,"b"]}`: `room.customFields["n"]`,
		} {
			fields := fmt.Sprintf(place, c.number)
			t.Run(fields+" "+c.holds, func(t *testing.T) {
				t.Parallel()
				e := event(t, `{"room":{"id":"r","customFields":`+fields+`},"joiningUser":{"id":"u","attributes":`+fields+`}}`)
				expression := fmt.Sprintf(`[%s].exists(n, %s)`, path, c.holds)
				holds, err := compiled(t, room.PreRoomUserJoined, expression).Holds(e)
				require.NoError(t, err)
				assert.True(t, holds)
			})
		}
	}
}

func TestNumbersAreEqualHoweverDeepTheyLie(t *testing.T) {
	t.Parallel()
	e := event(t, `{"room":{"id":"r","customFields":{"a":[1,{"b":2.0}],"c":[1.0,{"b":2}]}}}`)
	holds, err := compiled(t, room.PreRoomUserJoined,
		`room.customFields.a == room.customFields.c && room.customFields.a == [1, {"b": 2}] && {"b": 2} in room.customFields.a`).Holds(e)
	require.NoError(t, err)
	assert.True(t, holds)
}

func TestWhatIsNoNumberFails(t *testing.T) {
	t.Parallel()
	e := condition.Event{Data: room.Data{Room: room.Room{CustomFields: map[string]any{"n": json.Number("five")}}}}
	_, err := compiled(t, room.PreRoomUserJoined, `room.customFields.n == 5`).Holds(e)
	assert.ErrorContains(t, err, `"five" is no number`)
}
