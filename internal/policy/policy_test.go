package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policy"
	"github.com/roombus/roombus/room"
)

// manifest decodes a policy for one interface, as the room service does.
func manifest(t testing.TB, i room.Interface, rules string) room.Manifest {
	t.Helper()
	m := room.Manifest{}
	require.NoError(t, room.Decode([]byte(`{"id":"house","version":"1.0.0","implements":["`+string(i)+`"],"params":["bans","team"],
		"rules":{"`+string(i)+`":`+rules+`}}`), &m))
	require.NoError(t, m.Validate())
	return m
}

func compiled(t testing.TB, i room.Interface, rules string) *policy.Policy {
	t.Helper()
	all, err := policy.CompileAll(manifest(t, i, rules))
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[i]
}

func params(t testing.TB, documents map[string]string) expression.Params {
	t.Helper()
	all := make(expression.Params)
	for name, data := range documents {
		d, err := expression.NewDocument([]byte(data))
		require.NoError(t, err)
		all[name] = d
	}
	return all
}

func join(user string) expression.Event {
	return expression.Event{ID: "c1", Time: time.Date(2026, 3, 6, 21, 30, 0, 0, time.UTC), Data: &room.Data{
		Room: room.Room{ID: "r1", Type: room.Channel, MemberCount: 3}, JoiningUser: &room.User{ID: user},
	}}
}

func TestDecide_FirstDenialCounts(t *testing.T) {
	t.Parallel()
	p := compiled(t, room.PreRoomUserJoined, `[
		{"warn": "user.id == 'bob' ? 'welcome ' + user.id : ''"},
		{"deny": "user.id in params.bans.ids", "reason": "banned"},
		{"deny": "user.id.startsWith('e')", "reasonExpression": "user.id + ' is not invited'"},
		{"deny": "user.id == 'ed' && room.customFields.none"},
		{"deny": false}
	]`)
	known := params(t, map[string]string{"bans": `{"ids": ["eve", "mal"]}`})
	for user, want := range map[string]policy.Decision{
		"eve": {Verdict: room.Verdict{Verdict: room.Deny, Reason: "banned"}, Rule: 2},
		"eli": {Verdict: room.Verdict{Verdict: room.Deny, Reason: "eli is not invited"}, Rule: 3},
		"ada": {Verdict: room.Verdict{Verdict: room.Allow}},
		"bob": {Verdict: room.Verdict{Verdict: room.Allow, Warnings: []string{"welcome bob"}}},
	} {
		got, err := p.Decide(join(user), known)
		require.NoError(t, err, user)
		want.Verdict = want.Verdict.WithinBounds()
		assert.Equal(t, want, got, user)
	}
}

// A rule that fails does not keep a later one from denying. If none denies the policy has failed.
func TestDecide_FailedRule(t *testing.T) {
	t.Parallel()
	p := compiled(t, room.PreRoomUserJoined, `[
		{"deny": "user.id in params.bans"},
		{"deny": "room.customFields.tier == 'gold'", "reason": "gold"},
		{"deny": "user.id == 'eve'", "reasonExpression": "string(room.customFields.why)"}
	]`)
	denied, err := p.Decide(join("eve"), nil)
	require.NoError(t, err)
	assert.Equal(t, 3, denied.Rule)
	assert.Equal(t, "denied; the reason cannot be evaluated: rule 3: reasonExpression: 1:25: no such key: why", denied.Verdict.Reason)

	failed, err := p.Decide(join("ada"), nil)
	require.EqualError(t, err, `rule 1: deny: there is no document "bans"; put one: roombus param put bans FILE`)
	assert.Equal(t, policy.Decision{Rule: 1}, failed)
	failed, err = p.Decide(join("ada"), params(t, map[string]string{"bans": `[]`}))
	require.EqualError(t, err, `rule 2: deny: 1:18: no such key: tier`)
	assert.Equal(t, 2, failed.Rule)
}

func creation() expression.Event {
	return expression.Event{ID: "c1", Data: &room.Data{
		Room: room.Room{
			ID: "r1", SlugifiedName: "r1", DisplayName: "Lobby", Description: "old", Type: room.Channel,
			Creator: room.User{ID: "ada", Roles: []string{"admin"}}, CustomFields: map[string]any{"plan": "free"},
		},
		Members: []room.User{{ID: "ada"}},
	}}
}

func TestDecide_Extends(t *testing.T) {
	t.Parallel()
	p := compiled(t, room.PreRoomCreateExtend, `[
		{"extend": {"customFields": {"owner": "room.creator.id", "seats": "2 * 25", "none": "null", "tags": "['a', room.type]"}}},
		{"extend": {"members": "params.team.members"}},
		{"extend": {"members": "[room.creator, 'bot', {'id': 'cy', 'roles': ['x']}]"}}
	]`)
	got, err := p.Decide(creation(), params(t, map[string]string{"team": `{"members": ["dan", {"id": "eli", "name": "Eli"}]}`}))
	require.NoError(t, err)
	x := got.Verdict.Extend
	require.NotNil(t, x)
	data, err := room.Encode(x)
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"customFields": {"owner": "ada", "seats": 50, "tags": ["a", "channel"]},
		"members": [{"id": "dan"}, {"id": "eli", "name": "Eli"}, {"id": "ada", "roles": ["admin"]}, {"id": "bot"}, {"id": "cy", "roles": ["x"]}]
	}`, string(data))
}

func TestDecide_ExtendFails(t *testing.T) {
	t.Parallel()
	for members, says := range map[string]string{
		`room.customFields.plan`: `extend.members: the result is no list`,
		`['']`:                   `id is required`,
		`[1]`:                    `the user at 0 cannot be read`,
		`[{'nick': 'a'}]`:        `nick`,
	} {
		p := compiled(t, room.PreRoomCreateExtend, `[{"extend": {"members": "dyn(`+members+`)"}}]`)
		_, err := p.Decide(creation(), nil)
		assert.ErrorContains(t, err, says, members)
	}
}

func TestDecide_Modifies(t *testing.T) {
	t.Parallel()
	p := compiled(t, room.PreRoomCreateModify, `[
		{"modify": {"displayName": "'[' + room.creator.id + '] ' + room.displayName", "description": null}},
		{"modify": {"isReadOnly": true, "customFields": "{'plan': null, 'since': event.time}", "parentRoomId": "null"}}
	]`)
	e := creation()
	e.Time = time.Date(2026, 3, 6, 21, 30, 0, 0, time.UTC)
	got, err := p.Decide(e, nil)
	require.NoError(t, err)
	assert.JSONEq(t, `{"displayName": "[ada] Lobby", "description": null, "isReadOnly": true,
		"customFields": {"plan": null, "since": "2026-03-06T21:30:00Z"}, "parentRoomId": null}`, string(got.Verdict.Modify))
	modified, err := got.Verdict.Modified(e.Data.Room)
	require.NoError(t, err)
	assert.Contains(t, string(modified), `"displayName":"[ada] Lobby"`)
	assert.NotContains(t, string(modified), `"description"`)
	assert.NotContains(t, string(modified), `"plan"`)
}

// All rules of an interface together have one budget.
func TestDecide_RulesShareTheCost(t *testing.T) {
	t.Parallel()
	const dear = `{"deny": "!event.members.all(m, m.id == '' && m.name == '' && m.username == '')"}`
	e := creation()
	e.Data.Members = make([]room.User, room.MaxNewMembers)
	one := compiled(t, room.PreRoomCreatePrevent, `[`+dear+`]`)
	_, err := one.Decide(e, nil)
	require.NoError(t, err)
	both := compiled(t, room.PreRoomCreatePrevent, `[`+dear+`,`+dear+`,{"deny": true}]`)
	failed, err := both.Decide(e, nil)
	require.ErrorIs(t, err, expression.ErrTooCostly)
	assert.Equal(t, 2, failed.Rule)
}

func TestCompileAll_Refuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`{"deny": "true || false`+strings.Repeat(" ", 2000)+`"},`, 33)
	dear := strings.Repeat(`{"deny": "event.members.map(m, m.id).size() > 1"},`, 20)
	for rules, says := range map[string]string{
		`[{"deny": "user.nick == 'a'"}]`:                                         "rules: PreRoomUserJoined: rule 1: deny: 1:5: undefined field 'nick'",
		`[{"deny": "true"}, {"deny": "user.id"}]`:                                "rules: PreRoomUserJoined: rule 2: deny: must be bool, is string",
		`[{"deny": "room.customFields.x"}]`:                                      "rules: PreRoomUserJoined: rule 1: deny: must be bool, is of a type known only when it runs: compare it, as in x == true",
		`[{"warn": "room.memberCount"}]`:                                         "rules: PreRoomUserJoined: rule 1: warn: must be string, is int",
		`[{"deny": "true", "reasonExpression": "room.customFields.x"}]`:          "rules: PreRoomUserJoined: rule 1: reasonExpression: must be string, is of a type known only when it runs: convert it, as in string(x)",
		`[{"deny": "user.id in params.guests"}]`:                                 "rules: PreRoomUserJoined: rule 1: deny: 1:18: undefined field 'guests'",
		`[{"deny": "before.id == ''"}]`:                                          "rules: PreRoomUserJoined: rule 1: deny: 1:1: undeclared reference to 'before'",
		`[{"deny": "event.members.exists(a, event.members.exists(b, a == b))"}]`: "may cost",
		`[` + long + `{"deny": "true"}]`:                                         "rules: the expressions have 66433 bytes; at most 65536 are allowed in one policy",
		`[` + dear + `{"deny": "wrong"}]`:                                        "together may cost", // the rules behind are not compiled
	} {
		_, err := policy.CompileAll(manifest(t, room.PreRoomUserJoined, rules))
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, rules)
		assert.ErrorContains(t, err, says, rules)
	}
}
