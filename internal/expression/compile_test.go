package expression_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

func TestCompile_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, says string }{
		"nothing":                   {``, `the expression is empty; leave it out for an app that is always to be asked`},
		"blanks":                    {" \n\t ", `the expression is empty; leave it out for an app that is always to be asked`},
		"a variable":                {`roon.type == "channel"`, `1:1: undeclared reference to 'roon' (did you mean 'room'?)`},
		"a variable further on":     {`true && x`, `1:9: undeclared reference to 'x'`},
		"on another line":           {"room.type ==\n  kind", `2:3: undeclared reference to 'kind'`},
		"after wide characters":     {`"日本" == x`, `1:9: undeclared reference to 'x'`},
		"a field of the room":       {`room.slugifedName == "a"`, `1:5: undefined field 'slugifedName'`},
		"a field of a user":         {`user.id == actor.nick`, `1:17: undefined field 'nick'`},
		"a field of the event":      {`event.name == ""`, `1:6: undefined field 'name'`},
		"a field within":            {`room.creator.nick == ""`, `1:13: undefined field 'nick'`},
		"a field in a macro":        {`event.members.exists(m, m.nick == "")`, `1:26: undefined field 'nick'`},
		"a field in has":            {`has(room.nick)`, `1:4: undefined field 'nick'`},
		"a number and a string":     {`room.memberCount == "x"`, `1:18: found no matching overload for '_==_' applied to '(int, string)'`},
		"a user and a room":         {`user == room`, `1:6: found no matching overload for '_==_' applied to '(User, Room)'`},
		"a user and an id":          {`user == "bot-1"`, `1:6: found no matching overload for '_==_' applied to '(User, string)'`},
		"an unknown function":       {`user.id.reverse() == ""`, `1:16: undeclared reference to 'reverse'`},
		"the first of two":          {`a == b`, `1:1: undeclared reference to 'a'`},
		"a string":                  {`room.type`, `must be bool, is string`},
		"a list":                    {`user.roles`, `must be bool, is list(string)`},
		"an object":                 {`user`, `must be bool, is User`},
		"dynamic type":              {`room.customFields.on`, `must be bool, is of a type known only when it runs: compare it, as in x == true`},
		"half of it":                {`room.type ==`, `1:13: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`},
		"one = only":                {`room.type = "a"`, `1:11: Syntax error: token recognition error at: '= '`},
		"a control character":       {"\x00", `1:1: Syntax error: token recognition error at: ' '`},
		"no text":                   {"\"\xff\" == room.id && x", `1:19: undeclared reference to 'x'`},
		"a pattern":                 {`user.id.matches("(")`, "1:17: error parsing regexp: missing closing ): `(`"},
		"a large pattern":           {`user.id.matches("(a{9}){11}")`, `1:17: the pattern compiles to 123 instructions; at most 100 are allowed`},
		"a pattern made":            {`user.id.matches(room.id)`, `1:21: the pattern of matches must be a literal`},
		"a pattern made, otherwise": {`matches(user.id, "a" + "b")`, `1:22: the pattern of matches must be a literal`},
		"a pattern in a macro":      {`user.roles.exists(r, r.matches(r))`, `1:32: the pattern of matches must be a literal`},
		"a time":                    {`event.time < timestamp("noon")`, `1:24: invalid timestamp argument`},
		"a duration":                {`event.time - event.time < duration("soon")`, `1:36: invalid duration argument`},
		"a constant":                {`int("one") == room.version`, `1:4: type conversion error from 'string' to 'int'`},
		"an object made":            {`User{id: "a"} == user`, `1:5: a User cannot be made here`},
		"a message made":            {`google.protobuf.Int64Value{value: 1} == 1`, `1:27: a google.protobuf.Int64Value cannot be made here`},
		"deep":                      {strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000), `expression recursion limit exceeded: 50`},
		"long":                      {strings.Repeat("true && ", 300) + "true", `expression code point size exceeds limit: size: 2404, limit 2048`},
		"deep lists":                {`[1] ==` + strings.Repeat("[", 21) + strings.Repeat("]", 21), `1:27: lists, maps and macros are nested deeper than 20`},
		"deep maps":                 {`{} ==` + strings.Repeat("{1:", 21) + "1" + strings.Repeat("}", 21), `1:66: lists, maps and macros are nested deeper than 20`},
		"deep macros":               {strings.Repeat("[1].exists(x,", 21) + "true" + strings.Repeat(")", 21), `1:248: lists, maps and macros are nested deeper than 20`},
		"a long name":               {strings.Repeat("ab", 500), `1:1: undeclared reference to '` + strings.Repeat("ab", 500)[:270] + `…`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiled, err := expression.Compile(room.PreRoomUserJoined, c.source)
			require.Nil(t, compiled)
			require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
			assert.EqualError(t, err, "invalid_request: when: PreRoomUserJoined: "+c.says)
		})
	}
}

func TestCompile_AcceptsUpToLimits(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		strings.Repeat("(", 40) + "true" + strings.Repeat(")", 40),
		strings.Repeat("[1].exists(x,", 19) + "true" + strings.Repeat(")", 19),
		strings.Repeat("true && ", 250) + "true",
		strings.Repeat("!", 2000) + "true",
		`room.description.matches("^(?i)(support|sales|help|billing|legal)-[0-9]+$")`,
	} {
		compiled(t, room.PreRoomUserJoined, source)
	}
}

func TestCompileAll(t *testing.T) {
	t.Parallel()
	all, err := expression.CompileAll(room.Manifest{When: map[room.Interface]string{
		room.PreRoomUserJoined: `event.interface == "PreRoomUserJoined"`,
		room.PreRoomUserLeave:  `event.interface == "PreRoomUserLeave"`,
	}})
	require.NoError(t, err)
	require.Len(t, all, 2)
	for i, c := range all {
		holds, err := c.Holds(expression.Event{})
		require.NoError(t, err)
		assert.True(t, holds, i)
	}

	none, err := expression.CompileAll(room.Manifest{})
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestCompileAll_ReportsFirstInvalid(t *testing.T) {
	t.Parallel()
	for range 10 { // the order of a map is random
		_, err := expression.CompileAll(room.Manifest{When: map[room.Interface]string{
			room.PreRoomUserLeave:     `1`,
			room.PreRoomUserJoined:    `1`,
			room.PreRoomDeletePrevent: `1`,
			room.PreRoomCreateModify:  `true`,
		}})
		require.EqualError(t, err, "invalid_request: when: PreRoomDeletePrevent: must be bool, is int")
	}
}
