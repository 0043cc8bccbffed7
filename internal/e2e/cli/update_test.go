package cli_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

func TestCLI_Updates(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	c.OK("room", "create", "lobby", "--creator", "ada", "--member", "ben", "--description", "old", "--field", "topic=sofas")
	assert.Contains(t, c.OK("room", "update", "lobby", "--display-name", "The Lobby", "--read-only", "--field", "topic=null", "--field", "n=9007199254740993",
		"--patch", `{"description":null,"customFields":{"m":1}}`, "--by", "ada", "--id", "u1"), "version 2")
	got, err := b.Client.Get(t.Context(), "lobby")
	require.NoError(t, err)
	assert.Equal(t, "The Lobby", got.DisplayName)
	assert.Empty(t, got.Description)
	assert.True(t, got.IsReadOnly)
	assert.Equal(t, map[string]any{"n": json.Number("9007199254740993"), "m": json.Number("1")}, got.CustomFields)
	assert.Contains(t, c.OK("room", "update", "lobby", "--read-only"), "unchanged:")
	assert.Contains(t, c.OK("room", "update", "lobby", "--read-only=false", "--if-version", "2"), "version 3")
	assert.Contains(t, c.OK("room", "get", "lobby", "--at", "1"), "old", "the room as it was created")

	said := c.Fails(6, "room", "update", "lobby", "--slug", "x", "--if-version", "2")
	assert.Contains(t, said, `conflict: room "lobby" has version 3, not 2: read it again`)
	assert.NotContains(t, said, "explain", "it leaves no rejection")
	assert.Contains(t, c.Fails(2, "room", "update", "lobby"), "nothing to change: give at least one field")
	assert.Contains(t, c.Fails(2, "room", "update", "lobby", "--patch", "null", "--slug", "x"), "not null")
	assert.Contains(t, c.Fails(2, "room", "update", "lobby", "--patch", "[1]"), "--patch must be a JSON object")
	assert.Contains(t, c.Fails(2, "room", "update", "lobby", "--patch", `{"slugifiedName":"x"} more`), "goes on after the end")
	assert.Contains(t, c.Fails(2, "room", "update", "lobby", "--patch", `{"customFields":null}`, "--field", "b=2"), "--field has no effect")
	assert.Contains(t, c.Fails(2, "room", "member", "update", "lobby", "ben", "--patch", `{"id":"ada","name":"A"}`), "names another user than USER: ada")
	assert.Contains(t, c.Fails(2, "room", "member", "update", "lobby", "ben", "--patch", `{"id":"ben"}`), "nothing to change")
	assert.Contains(t, c.Fails(2, "room", "member", "update", "lobby", "ben", "--attribute", "foo"), "--attribute must be key=value")
	assert.Contains(t, c.Fails(2, "room", "update", "lobby", "--patch", `{"color":1}`), `unknown field "color"`)
	assert.Contains(t, c.Fails(2, "room", "update", "lobby", "--type", "live_chat"), "a channel cannot become a live_chat")
	assert.Contains(t, c.Fails(2, "room", "update", "lobby", "--read-only=maybe"), "must be true or false")
	assert.Contains(t, c.Fails(4, "room", "update", "nowhere", "--slug", "x"), "room_not_found")

	assert.Contains(t, c.OK("room", "member", "update", "lobby", "ben", "--role", "moderator", "--role", "greeter", "--name", "Ben", "--attribute", "level=3", "--id", "m1"), "version 4")
	assert.Contains(t, c.OK("room", "member", "update", "lobby", "ben", "--role", "", "--patch", `{"attributes":{"level":null}}`), "version 5")
	assert.Equal(t, []room.User{{ID: "ada"}, {ID: "ben", Name: "Ben"}}, harness.JSONLines[room.User](t, c.OK("room", "members", "lobby", "--json")))
	assert.Contains(t, c.Fails(4, "room", "member", "update", "lobby", "zoe", "--name", "Zoe"), "member_not_found")
	assert.Contains(t, c.Fails(2, "room", "member", "update", "lobby", `{"id":"ben"}`, "--name", "x"), "USER must be the id of the member")

	assert.Regexp(t, `update +lobby v2  changed description, displayName, isReadOnly, customFields.m, customFields.n, customFields.topic by ada  \[u1\]`, c.OK("room", "history", "lobby"))
	assert.Regexp(t, `userupdate +lobby v4  ben changed name, roles, attributes.level  \[m1\]`, c.OK("events", "--event", "userupdate"))
	assert.Regexp(t, `update lobby \(description, .* by ada\)\n +description: "old" -> -\n +displayName: - -> "The Lobby"\n +isReadOnly: false -> true\n +customFields.m: - -> 1\n`, c.OK("explain", "u1"))
	assert.Regexp(t, `updatemember lobby \(ben: name, .*\)\n +name: - -> "Ben"\n +roles: - -> \["moderator","greeter"\]\n`, c.OK("explain", "m1"))
}
