package room_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// A bool or a number is the expression of that constant, and null removes a field.
func TestRule_Constants(t *testing.T) {
	t.Parallel()
	var all struct{ Rules []room.Rule }
	require.NoError(t, room.Decode([]byte(`{"Rules": [{"deny": true}, {"modify": {"isReadOnly": false, "description": null, "n": 2.5}}]}`), &all))
	assert.Equal(t, room.Expression("true"), all.Rules[0].Deny)
	m := all.Rules[1].Modify
	assert.Equal(t, room.Expression("false"), *m["isReadOnly"])
	assert.Equal(t, room.Expression("2.5"), *m["n"])
	require.Contains(t, m, "description")
	assert.Nil(t, m["description"])
	for _, wrong := range []string{`{"Rules": [{"deny": ["a"]}]}`, `{"Rules": [{"deny": {"a": 1}}]}`, `{"Rules": [{"deny": "\ud800"}]}`} {
		assert.Error(t, room.Decode([]byte(wrong), &all), wrong)
	}
}

func TestManifest_ValidatesRules(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", room.MaxExpressionBytes+1)
	for manifest, says := range map[string]string{
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}`:                                           ``,
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"warn": "''"}]}, "params": ["a"], "shadow": true`:            ``,
		`"implements": ["PreRoomUserJoined"], "params": ["a"]`:                                                                              "params: only a policy reads documents",
		`"implements": ["PreRoomUserJoined", "PostRoomCreate"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}`:                         "implements: PostRoomCreate is for apps with workers",
		`"implements": ["PreRoomUserJoined", "PreRoomUserLeave"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}`:                       "rules: there are none for PreRoomUserLeave",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}], "PreRoomUserLeave": []}`:                   `rules: "PreRoomUserLeave" is not among implements`,
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}], "Any": []}`:                                `rules: there is no interface "Any"`,
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}, "timeoutMs": 5`:                           "timeoutMs is for apps with workers",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}, "unordered": true`:                        "unordered is for apps with workers",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}, "params": ["a-b"]`:                        "params must be 1 to 64 of the characters",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}, "params": ["in"]`:                         "params: in is a word of the language",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}]}, "params": ["a", "a"]`:                     "params: a stands there twice",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{}]}`:                                                         "rules: PreRoomUserJoined: rule 1: it needs deny or warn",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true"}, {"deny": "true", "warn": "''"}]}`:           "rules: PreRoomUserJoined: rule 2: it has deny and warn; make a rule of each",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"modify": {"a": "1"}}]}`:                                     "rule 1: modify is not for this interface; use deny or warn",
		`"implements": ["PreRoomCreateExtend"], "rules": {"PreRoomCreateExtend": [{"deny": "true"}]}`:                                       "rule 1: deny is not for this interface; use extend",
		`"implements": ["PreRoomCreateModify"], "rules": {"PreRoomCreateModify": [{"modify": {}}]}`:                                         "rule 1: modify: it needs at least one field",
		`"implements": ["PreRoomCreateExtend"], "rules": {"PreRoomCreateExtend": [{"extend": {}}]}`:                                         "rule 1: extend: it needs customFields or members",
		`"implements": ["PreRoomCreateModify"], "rules": {"PreRoomCreateModify": [{"modify": {"a": "1"}}, {"modify": {"a": "2"}}]}`:         "rule 2: a is set by rule 1 already",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"warn": "''", "reason": "a"}]}`:                              "rule 1: a reason goes with deny",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "true", "reason": "a", "reasonExpression": "'a'"}]}`: "rule 1: reason and reasonExpression exclude each other",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": "` + long + `"}]}`:                                   "rule 1: deny: the expression has 2049 bytes; at most 2048 are allowed",
		`"implements": ["PreRoomUserJoined"], "rules": {"PreRoomUserJoined": [{"deny": " "}]}`:                                              "rule 1: deny: the expression is empty",
	} {
		var m room.Manifest
		require.NoError(t, room.Decode([]byte(`{"id":"a","version":"1.0.0",`+manifest+`}`), &m), manifest)
		err := m.Validate()
		if says == "" {
			require.NoError(t, err, manifest)
			continue
		}
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, manifest)
		assert.ErrorContains(t, err, says, manifest)
	}
}
