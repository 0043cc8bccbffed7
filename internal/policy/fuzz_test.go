package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policy"
	"github.com/roombus/roombus/room"
)

// FuzzPolicy decides with any rules and any document: it does not panic, an error has one line, a verdict
// is one that a worker could have given, and the event stays as it is.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []struct{ i, rules, document string }{
		{"PreRoomUserJoined", `[{"deny": "user.id in params.bans.ids", "reason": "banned"}, {"warn": "'hello ' + user.id"}]`, `{"ids": ["eve"]}`},
		{"PreRoomUserJoined", `[{"deny": "params.bans.exists(x, x == user)", "reasonExpression": "string(params.bans[0])"}]`, `[1, null, {}]`},
		{"PreRoomCreateExtend", `[{"extend": {"customFields": {"a": "params.bans", "b": "room"}, "members": "[user, params.bans]"}}]`, `"dan"`},
		{"PreRoomCreateModify", `[{"modify": {"displayName": "params.bans", "customFields": "{'a': null, 'b': [user]}", "description": null}}]`, `1e400`},
		{"PreRoomCreatePrevent", `[{"deny": "event.members.all(m, m.id in params.bans)"}]`, `["a","b","c","d","e","f","g","h","i", 0.0]`},
	} {
		f.Add(seed.i, seed.rules, seed.document)
	}
	f.Fuzz(func(t *testing.T, i, rules, document string) {
		var m room.Manifest
		if room.Decode([]byte(`{"id":"a","version":"1.0.0","implements":["`+i+`"],"params":["bans"],"rules":{"`+i+`":`+rules+`}}`), &m) != nil || m.Validate() != nil {
			return
		}
		all, err := policy.CompileAll(m)
		if err != nil {
			requireOneLine(t, err)
			return
		}
		known := make(expression.Params)
		if d, err := expression.NewDocument([]byte(document)); err == nil {
			known["bans"] = d
		}
		for on, p := range all {
			for _, e := range []expression.Event{join("eve"), creation()} {
				was, err := json.Marshal(e.Data)
				require.NoError(t, err)
				decision, err := p.Decide(e, known)
				is, _ := json.Marshal(e.Data)
				require.JSONEq(t, string(was), string(is))
				if err != nil {
					requireOneLine(t, err)
					continue
				}
				data, err := room.Encode(decision.Verdict)
				require.NoError(t, err)
				_, err = room.ParseVerdict(on, data)
				require.NoError(t, err)
			}
		}
	})
}

func requireOneLine(t *testing.T, err error) {
	t.Helper()
	require.NotContains(t, err.Error(), "internal error", "the library recovered from a panic")
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(strings.TrimSpace(err.Error())), 1200)
}
