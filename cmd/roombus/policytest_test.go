package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runPolicy runs roombus policy with the text as standard input.
func runPolicy(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, failed bytes.Buffer
	status = Run(t.Context(), append([]string{"policy"}, args...), strings.NewReader(stdin), &out, &failed)
	return status, out.String(), failed.String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const house = `
id: house
params: [bans]
rules:
  PreRoomUserJoined:
    - deny: user.id in params.bans.ids
      reason: banned
    - warn: '"welcome"'
`

func TestPolicyInit_ExamplesPass(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	status, stdout, _ := runPolicy(t, "", "init", path)
	require.Zero(t, status)
	assert.Equal(t, path+" is written; next: roombus policy test "+path+"\n", stdout)
	status, stdout, stderr := runPolicy(t, "", "test", path)
	assert.Zero(t, status, stderr)
	assert.Regexp(t, `(?m)^bans +a banned user is refused +ok +denied, rule 1 +denied, rule 1$`, stdout)
	assert.Regexp(t, `tests: 17, ok: 17, failed: 0\n$`, stdout)

	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	status, _, stderr = runPolicy(t, "", "init", path)
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "there is a file "+path+" already; to replace it: --force")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(content))
	status, _, _ = runPolicy(t, "", "init", path, "--force")
	assert.Zero(t, status)
	_, example, _ := runPolicy(t, "", "init", "-")
	content, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, example, string(content))
}

func TestPolicyTest_Statuses(t *testing.T) {
	t.Parallel()
	const tests = `
tests:
  - {name: free, params: {bans: {ids: []}}, expect: {outcome: allowed}}
  - {name: wrong, params: {bans: {ids: []}}, expect: {outcome: denied}}
`
	status, stdout, stderr := runPolicy(t, house+tests+"---"+strings.ReplaceAll(house, "house", "hotel"), "test", "-")
	assert.Equal(t, exitFailed, status)
	assert.Equal(t, "roombus: tests of policies have failed\n", stderr)
	assert.Regexp(t, `^POLICY +TEST +RESULT +EXPECTED +ACTUAL\n`+
		`house +free +ok +allowed +allowed\nhouse +wrong +FAIL +denied +allowed\nhotel has no tests\ntests: 2, ok: 1, failed: 1\n$`, stdout)

	_, stdout, _ = runPolicy(t, house+tests, "test", "-", "--json")
	assert.Regexp(t, `^{"policy":"house","case":"free","ok":true,.*\n{"policy":"house","case":"wrong","ok":false,"checks":\[{"field":"outcome","expected":"denied","actual":"allowed","ok":false}\],"actual":{.*"outcome":"allowed".*\n$`, stdout)

	status, stdout, _ = runPolicy(t, house, "test", "-")
	assert.Zero(t, status)
	assert.Equal(t, "house has no tests\n", stdout)

	for says, args := range map[string][]string{
		"no such file":   {"test", "/nowhere/policy.yaml"},
		"is a directory": {"test", t.TempDir()},
		"f.yaml: house: rules: PreRoomUserJoined: rule 1: deny: 1:18: undefined field 'bans'": {"test", file(t, "f.yaml", strings.Replace(house, "[bans]", "[]", 1))},
		"f.yaml: house: test 1: expect: it is empty":                                          {"test", file(t, "f.yaml", house+"tests: [{name: x}]")},
		"--interface and --time go with --event":                                              {"test", file(t, "f.yaml", house), "--time", "2026-01-01T12:00:00Z"},
		"--param must be NAME=FILE":                                                           {"test", file(t, "f.yaml", house), "--param", "bans"},
		`no policy in the file reads "friends"`:                                               {"test", file(t, "f.yaml", house), "--param", "friends=x"},
		"FILE is missing":                                                                     {"test"},
	} {
		status, stdout, stderr := runPolicy(t, "", args...)
		assert.Equal(t, exitUsage, status, says)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, says)
	}
}

func TestPolicyTest_OneEvent(t *testing.T) {
	t.Parallel()
	policy := file(t, "policy.yaml", house+"---"+strings.ReplaceAll(house, "house", "hotel"))
	event := file(t, "event.json", `{"joiningUser":{"id":"eve"}}`)
	bans := file(t, "bans.json", `{"ids":["eve"]}`)
	status, stdout, stderr := runPolicy(t, "", "test", policy, "--event", event, "--param", "bans="+bans)
	assert.Zero(t, status, stderr)
	assert.Regexp(t, `^    house +PreRoomUserJoined +denied +[\d.]+ ms  rule 1  "banned"\n    hotel +PreRoomUserJoined +denied .*\n$`, stdout)
	_, stdout, _ = runPolicy(t, "", "test", policy, "--event", event, "--param", "bans="+file(t, "none.json", `{"ids":[]}`))
	assert.Contains(t, stdout, "    warning: welcome\n")

	status, stdout, stderr = runPolicy(t, "", "test", policy, "--event", event, "--json")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, stdout, `"outcome":"failed","reason":"rule 1: deny: 1:23: there is no document \"bans\"`)
	assert.Contains(t, stderr, "a policy could not be evaluated")

	extending := file(t, "extend.yaml", `{id: x, rules: {PreRoomCreateExtend: [{extend: {customFields: {team: '"red"'}, members: '["bot"]'}}], PreRoomCreatePrevent: [{deny: false}]}}`)
	creation := file(t, "creation.json", `{"room":{"id":"lobby"}}`)
	_, stdout, _ = runPolicy(t, "", "test", extending, "--event", creation, "--interface", "PreRoomCreateExtend")
	assert.Regexp(t, `allowed .* changed members, customFields.team\n    customFields.team: "red"\n    members: creator, bot\n$`, stdout)
	for says, args := range map[string][]string{
		"choose the interface of the event with --interface: PreRoomCreatePrevent, PreRoomCreateExtend": {"test", extending, "--event", creation},
		`no policy in the file is for "PreRoomUserJoined"`:                                              {"test", extending, "--event", creation, "--interface", "PreRoomUserJoined"},
		`event.json: unknown field "joiningUser"`:                                                       {"test", extending, "--event", event, "--interface", "PreRoomCreateExtend"},
		"--time must be a time such as":                                                                 {"test", policy, "--event", event, "--time", "noon"},
		"--event: open /nowhere":                                                                        {"test", policy, "--event", "/nowhere"},
		"--param: params: bans: document is not JSON":                                                   {"test", policy, "--event", event, "--param", "bans=" + file(t, "wrong.json", "{")},
	} {
		status, _, stderr := runPolicy(t, "", args...)
		assert.Equal(t, exitUsage, status, says)
		assert.Contains(t, stderr, says)
	}
}

// Nothing is sent if a document of the file is wrong.
func TestPolicyApply_ChecksBeforeItConnects(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		house + "---\nid: other": "standard input: other: it has no rules",
		house + "---\n  x: [":    "standard input: line ",
	} {
		status, _, stderr := runPolicy(t, text, "apply", "-", "--nats", "nats://127.0.0.1:1")
		assert.Equal(t, exitUsage, status)
		assert.Contains(t, stderr, says)
	}
}
