package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

func TestCLIParams(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	c := harness.NewCLI(t, b.Server.URL())
	on := room.PreRoomUserJoined
	b.Register(t, room.Manifest{
		ID: "house", Implements: []room.Interface{on}, Params: []string{"bans"},
		Rules: map[room.Interface][]room.Rule{on: {{Deny: "user.id in params.bans.ids", Reason: "banned"}}},
	})
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "bans.json"), filepath.Join(dir, "empty.json")
	require.NoError(t, os.WriteFile(file, []byte("{ \"ids\": [\"<mallory>\"] }\n"), 0o600))
	require.NoError(t, os.WriteFile(empty, []byte("{}"), 0o600))

	assert.Equal(t, "bans: 31 bytes, revision 2, read by: house\n", c.OK("param", "put", "bans", file))
	assert.Equal(t, "other: 31 bytes, revision 3, read by: no policy\n", c.OK("param", "put", "other", file, "--if-revision", "0"))
	assert.Regexp(t, `conflict: document "bans" has revision 2, not 1: read it again`, c.Fails(6, "param", "put", "bans", empty, "--if-revision", "1"))
	assert.Equal(t, []string{"{", `  "ids": [`, `    "<mallory>"`, "  ]", "}", ""}, strings.Split(c.OK("param", "get", "bans"), "\n"))
	assert.JSONEq(t, `{"ids":["<mallory>"]}`, string(harness.JSONLines[room.Param](t, c.OK("param", "get", "bans", "--json"))[0].Document))
	assert.Regexp(t, `(?m)^bans +31 +2 +20\d\d-\S+ \S+ +house\nother +31 +3 .* no policy$`, c.OK("param", "ls"))
	assert.Len(t, harness.JSONLines[room.Param](t, c.OK("param", "ls", "--json")), 2)
	assert.Contains(t, c.Fails(4, "param", "get", "nothing"), `param_not_found: there is no document "nothing"`)

	assert.Contains(t, c.Fails(2, "param", "rm", "bans"), "document bans is read by: house; without it their rules fail; to remove it: --force")
	assert.Equal(t, "bans is removed: 31 bytes, revision 2, read by: house\n", c.OK("param", "rm", "bans", "--force"))
	assert.Equal(t, "other is removed: 31 bytes, revision 3, read by: no policy\n", c.OK("param", "rm", "other"))
	c.Fails(4, "param", "rm", "other", "--force")
}
