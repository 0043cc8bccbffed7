package policyfile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const house = `
id: house
rules:
  PreRoomUserJoined:
    - deny: user.id == "eve"
      reason: banned
`

func read(t *testing.T, text string) []policyfile.Document {
	t.Helper()
	all, err := policyfile.Read("f.yaml", []byte(text))
	require.NoError(t, err)
	return all
}

func TestRead_ThreeLinesAreAPolicy(t *testing.T) {
	t.Parallel()
	all := read(t, `{id: house, rules: {PreRoomUserJoined: [{deny: user.id == "eve"}], PreRoomCreatePrevent: [{deny: false}]}}`)
	require.Len(t, all, 1)
	m := all[0].Manifest
	assert.Empty(t, m.Version, "apply chooses it")
	assert.Equal(t, []room.Interface{room.PreRoomCreatePrevent, room.PreRoomUserJoined}, m.Implements)
	assert.EqualValues(t, "false", m.Rules[room.PreRoomCreatePrevent][0].Deny, "a bool is the constant")
	assert.EqualValues(t, `user.id == "eve"`, m.Rules[room.PreRoomUserJoined][0].Deny)
}

func TestRead_SeveralDocuments(t *testing.T) {
	t.Parallel()
	other := strings.Replace(house, "house", "other", 1)
	jsonOf := func(id string) string {
		return `{"id":"` + id + `","rules":{"PreRoomUserJoined":[{"deny":"user.id == '\ud83d\ude00'"}]}}`
	}
	for name, text := range map[string]string{
		"yaml":                  house + "---" + other,
		"empty documents":       "# first\n---\n" + house + "---\n# nothing\n---\n" + other + "---\n",
		"json":                  jsonOf("house") + "\n\t" + jsonOf("other"),
		"json in yaml document": "--- {id: house, rules: {PreRoomUserJoined: [{deny: true}]}}\n---\n" + `{"id":"other","rules":{"PreRoomUserJoined":[{"deny":"true"}]}}`,
	} {
		all := read(t, text)
		require.Len(t, all, 2, name)
		assert.Equal(t, "house", all[0].Manifest.ID, name)
		assert.Equal(t, "other", all[1].Manifest.ID, name)
	}
	assert.EqualValues(t, "user.id == '\U0001F600'", read(t, jsonOf("house"))[0].Manifest.Rules[room.PreRoomUserJoined][0].Deny)
}

// No value changes its meaning from YAML to JSON.
func TestRead_ScalarsOfYAML(t *testing.T) {
	t.Parallel()
	for scalar, want := range map[string]string{
		`no`: `"no"`, `Yes`: `"Yes"`, `on`: `"on"`, `y`: `"y"`, `12:30:45`: `"12:30:45"`,
		`2026-01-02`: `"2026-01-02"`, `2026-01-02T15:04:05Z`: `"2026-01-02T15:04:05Z"`,
		`"0777"`: `"0777"`, `'no'`: `"no"`, `!!str 007`: `"007"`, `!!str null`: `"null"`, `1.2.3`: `"1.2.3"`, `08a`: `"08a"`,
		`12345678901234567890123`: `12345678901234567890123`, `9007199254740993`: `9007199254740993`, `1.10`: `1.10`, `-1e3`: `-1e3`,
		`true`: `true`, `False`: `false`, `!!int "12"`: `12`,
		`[~, null, ]`: `[null,null]`, `{1: a, no: b, 2026-01-02: c, true: d}`: `{"1":"a","no":"b","2026-01-02":"c","true":"d"}`,
		`[&a [x], *a]`:   `[["x"],["x"]]`,
		`"\u00e4\t\x01"`: `"ä\t\u0001"`,
	} {
		all := read(t, house+"tests: [{event: {x: "+scalar+"}}]")
		assert.Equal(t, `{"x":`+want+`}`, string(all[0].Tests[0].Event), scalar)
	}
	for _, scalar := range []string{"0777", "0o17", "0x1F", "0b11", "1_000", "+1", "08", "1.", ".5", ".inf", "-.Inf", ".nan", "+1.5e3"} {
		_, err := policyfile.Read("f", []byte(house+"tests: [{event: {x: "+scalar+"}}]"))
		assert.ErrorContains(t, err, "f: line 7: is "+scalar+" text or a number? Put text in quotes, and write a number in decimal")
	}
}

func TestRead_MistakesAreNamed(t *testing.T) {
	t.Parallel()
	rules := func(rule string) string { return "id: house\nrules:\n  PreRoomUserJoined:\n    - " + rule }
	for says, text := range map[string]string{
		"f.yaml: there is no policy in it":                                      "# nothing\n",
		`f.yaml: house: unknown field "implement"`:                              house + "implement: [PreRoomUserJoined]",
		"f.yaml: house: the id stands there twice":                              house + "---" + house,
		"f.yaml: document 2: id is required":                                    house + "---\nrules: {PreRoomUserJoined: [{deny: true}]}",
		"f.yaml: document 1: id must be string, not number":                     "id: 7\nrules: {PreRoomUserJoined: [{deny: true}]}",
		"f.yaml: document 1: the body must be a JSON object, not array":         "- id: house",
		"f.yaml: house: it has no rules; register an app with workers":          "id: house\nimplements: [PreRoomUserJoined]",
		`f.yaml: house: rules: there is no interface "PreRoomJoin"`:             "id: house\nrules: {PreRoomJoin: [{deny: true}]}",
		"f.yaml: house: shadow must be bool, not string":                        house + "shadow: yes",
		"f.yaml: house: version must be string, not number":                     house + "version: 1.0",
		"f.yaml: house: version must be SemVer":                                 house + "version: '1.0'",
		"stands there twice":                                                    house + "id: house",
		"an expression is a string":                                             rules("deny:"),
		"f.yaml: house: rules: PreRoomUserJoined: rule 1: it has deny and warn": rules("{deny: true, warn: x}"),
		"rule 1: deny: 1:5: undefined field 'idd'":                              rules("deny: user.idd == 'eve'"),
		"when: PreRoomUserJoined: 1:1:":                                         house + "when: {PreRoomUserJoined: yes}",
		"undefined field 'bans'":                                                rules("deny: user.id in params.bans"),
		`f.yaml: house: test 2: unknown field "expects"`:                        house + "tests: [{}, {expects: {}}]",
		"f.yaml: house: test 1: time must be a time ":                           house + "tests: [{time: noon}]",
		"f.yaml: line 4: did not find expected whitespace or line break; a text that begins with a quote or a sign":  rules(`deny: !("admin" in user.roles)`),
		"f.yaml: line 4: the tag !banned is not supported; put text that begins with ! in quotes":                    rules(`deny: !banned == true`),
		"f.yaml: line 4, or the block that begins there: did not find expected key; a text that begins with a quote": rules(`deny: "admin" in user.roles`),
		"f.yaml: line 4: mapping values are not allowed in this context":                                             rules(`deny: true ? false : true`),
		"f.yaml: line 7: merging with << is not supported":                                                           house + "<<: {id: x}",
		"f.yaml: line 7: a key must be text":                                                                         house + "? [a]\n: b",
		"f.yaml: line 7: it is nested deeper than 64":                                                                house + "tests: &a [*a]",
		"unknown anchor 'b' referenced":                                                                              house + "tests: *b",
		"f.yaml: line 7: the tag !!binary is not supported":                                                          house + "tests: !!binary aGk=",
		"f.yaml: line 7: the tag !!set is not supported":                                                             house + "tests: !!set {a}",
		`f.yaml: line 7: "yes" is no bool`:                                                                           house + "shadow: !!bool yes",
	} {
		_, err := policyfile.Read("f.yaml", []byte(text))
		assert.ErrorContains(t, err, says)
		var wrong *policyfile.Error
		assert.ErrorAs(t, err, &wrong)
	}
	_, err := policyfile.Read("f", []byte("id: a\n---\n"+house+"---\nid: b"))
	assert.Equal(t, "f: a: it has no rules; register an app with workers with roombus app register\n"+
		"f: b: it has no rules; register an app with workers with roombus app register", err.Error(), "every wrong document is named")
}

func TestRead_AliasesAreBounded(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString(house + "tests:\n- event: {a: &a [" + strings.Repeat("x,", 100) + "]}\n")
	for _, name := range []string{"ab", "bc", "cd", "de"} {
		fmt.Fprintf(&bomb, "- event: {%[1]c: &%[1]c [%[2]s]}\n", name[1], strings.Repeat("*"+name[:1]+",", 100))
	}
	_, err := policyfile.Read("f", []byte(bomb.String()))
	assert.ErrorContains(t, err, "with its aliases expanded, the document has more than 8388608 bytes")
}

// A manifest that is written is read as the same.
func TestWrite_IsRead(t *testing.T) {
	t.Parallel()
	m := room.Manifest{
		ID: "no", Version: "1.0.0", Description: "multi\n  line: 'text' # no comment\n", Implements: []room.Interface{room.PreRoomUserJoined, room.PreRoomCreateModify},
		Essentials: []room.Interface{room.PreRoomUserJoined}, Order: new(7), Params: []string{"bans", "y"}, Shadow: true, Enabled: new(false),
		When: map[room.Interface]string{room.PreRoomUserJoined: "room.id != '\u2028\x7f'"},
		Rules: map[room.Interface][]room.Rule{
			room.PreRoomUserJoined:   {{Deny: "true", Reason: "0777"}, {Deny: `"admin" in user.roles || user.id in params.bans`, Reason: "2026-01-02"}, {Warn: `"a: b"`}},
			room.PreRoomCreateModify: {{Modify: map[string]*room.Expression{"description": nil, "displayName": new(room.Expression("'x'"))}}},
		},
	}
	var text bytes.Buffer
	require.NoError(t, policyfile.Write(&text, m))
	assert.Equal(t, m, read(t, text.String())[0].Manifest, text.String())

	text.Reset()
	require.NoError(t, policyfile.Write(&text, read(t, house)[0].Manifest.WithDefaults()))
	assert.Equal(t, "id: house\nversion: \"\"\nimplements: [PreRoomUserJoined]\nrules:\n  PreRoomUserJoined:\n    - deny: user.id == \"eve\"\n      reason: banned\n",
		text.String(), "defaults are left out")
}

func TestExample_IsRead(t *testing.T) {
	t.Parallel()
	assert.Len(t, read(t, policyfile.Example), 6)
}

// Reading never panics. What is read is written and read as the same.
func FuzzRead(f *testing.F) {
	f.Add(policyfile.Example)
	f.Add(house + "tests: [{event: {x: [&a 1, *a, !!str 1, ~]}}]")
	f.Add(`{"id":"house","rules":{"PreRoomUserJoined":[{"deny":"true"}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := policyfile.Read("f", []byte(text))
		if err != nil {
			return
		}
		for _, d := range all {
			for _, c := range d.Tests {
				if c.Event != nil && !json.Valid(c.Event) {
					t.Fatalf("%s", c.Event)
				}
			}
			m := d.Manifest
			m.Version = "1.0.0"
			var written bytes.Buffer
			require.NoError(t, policyfile.Write(&written, m))
			again := read(t, written.String())[0].Manifest
			require.Empty(t, again.Differences(m), written.String())
		}
	})
}
