package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// A policy from its file to its removal.
func TestCLI_Policy(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "guard", Implements: scene.OnJoin, Shadow: true})
	path := filepath.Join(t.TempDir(), "house.yaml")
	write := func(text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	const house = `
id: house
rules:
  PreRoomUserJoined:
    - deny: room.memberCount >= 100
      reason: full
    - deny: user.id == "eve"
      reason: banned
`
	const bans = `
id: bans
params: [bans]
rules: {PreRoomUserJoined: [{deny: user.id in params.bans}]}
shadow: true
`
	write(house + "---" + bans)
	assert.Equal(t, "house 1.0.0 applied\nbans 1.0.0 applied, enabled, shadow\n"+
		"  note: while a document is missing (bans), everything passes PreRoomUserJoined; to refuse it instead, add the line  essentials: [PreRoomUserJoined]\n", c.OK("policy", "apply", path))
	assert.Contains(t, c.OK("policy", "apply", path), "house 1.0.0 unchanged\nbans 1.0.0 unchanged, enabled, shadow\n")
	write(strings.Replace(house, "100", "200", 1))
	assert.JSONEq(t, `{"id":"house","version":"1.0.1","changed":true}`, c.OK("policy", "apply", path, "--json"))

	denied := c.Fails(3, "room", "join", "r", "eve", "--id", "c1")
	assert.Regexp(t, `\n +house +PreRoomUserJoined +denied +[\d.]+ ms  rule 2  "banned"\n`, denied)
	assert.Contains(t, c.OK("rejections"), "denied by house rule 2, user_not_allowed: banned")
	assert.Regexp(t, `house +PreRoomUserJoined +denied +[\d.]+ ms  rule 2  "banned"`, c.OK("explain", "c1", "--room", "r"))
	c.OK("room", "join", "r", "bob")
	assert.Contains(t, c.OK("events", "--event", "userjoin"), "[bans failed rule 1] [guard unavailable] [house allowed]")

	assert.Regexp(t, `^POLICY +VERSION +ORDER +STATE +RULES +PARAMS +DENIED +FAILED +INTERFACES\n`+
		`bans +1\.0\.0 +100 +enabled, shadow +1 +bans +0 +2 +PreRoomUserJoined\nhouse +1\.0\.1 +100 +enabled +2 +- +1 +0 +PreRoomUserJoined\n$`, c.OK("policy", "ls"))
	assert.Regexp(t, `(?m)^house +policy +1\.0\.1 +100 +enabled +- +2 +1 .* - +- +0 +PreRoomUserJoined$`, c.OK("app", "ls"))
	info := c.OK("app", "info", "house")
	assert.Regexp(t, `(?m)^policy +house\n`, info)
	assert.Regexp(t, `(?m)^rules +PreRoomUserJoined 1: deny: room.memberCount >= 200; reason: full\n +PreRoomUserJoined 2: deny: user.id == "eve"; reason: banned$`, info)
	assert.NotRegexp(t, `workers|timeout`, info)
	assert.Contains(t, c.Fails(2, "policy", "show", "guard"), "guard is an app with workers, not a policy; use roombus app info guard")

	shown := c.OK("policy", "show", "house")
	write(shown)
	assert.Equal(t, "house 1.0.1 unchanged\n", c.OK("policy", "apply", path))
	write(shown + "---" + strings.Replace(bans, "id: bans", "id: guard", 1))
	assert.Contains(t, c.Fails(2, "policy", "apply", path), "guard is an app with workers: choose another id")

	assert.Equal(t, "policy house is removed; it no longer decides about: join\n", c.OK("policy", "rm", "house"))
	c.Fails(4, "policy", "show", "house")
	c.OK("room", "join", "r", "eve")
}

func TestCLI_PolicyExampleIsApplied(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	path := filepath.Join(t.TempDir(), "policy.yaml")
	c.OK("policy", "init", path)
	assert.Equal(t, 6, strings.Count(c.OK("policy", "apply", path), " 1.0.0 applied\n"))
	assert.Contains(t, c.Fails(3, "room", "create", "Lobby"), "the name Lobby is not 3 to 40")
}
