package policytest_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/internal/policytest"
	"github.com/roombus/roombus/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func document(t *testing.T, text string) policyfile.Document {
	t.Helper()
	all, err := policyfile.Read("f", []byte(text))
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

// results runs the cases of a policy.
func results(t *testing.T, text string) []policytest.Result {
	t.Helper()
	all, err := policytest.Run(document(t, text), nil)
	require.NoError(t, err)
	return all
}

func TestRun_Example(t *testing.T) {
	t.Parallel()
	documents, err := policyfile.Read("example", []byte(policyfile.Example))
	require.NoError(t, err)
	for _, d := range documents {
		assert.NotEmpty(t, d.Tests, d.Manifest.ID)
		all, err := policytest.Run(d, nil)
		require.NoError(t, err)
		for _, r := range all {
			assert.True(t, r.OK, "%s: %s: %v", r.Policy, r.Case, r.Checks)
		}
	}
}

// A case whose outcome is not the expected one says in which fields, and why.
func TestRun_DifferencesAreNamed(t *testing.T) {
	t.Parallel()
	const house = `
id: house
params: [bans]
rules: {PreRoomUserJoined: [{deny: user.id in params.bans, reason: banned}, {warn: '"careful"'}]}
tests:
`
	for test, want := range map[string][2]string{
		"{event: {joiningUser: {id: eve}}, params: {bans: [eve]}, expect: {outcome: allowed, reason: ''}}": {`allowed, reason ""`, `denied, reason "banned"`},
		"{event: {joiningUser: {id: eve}}, params: {bans: [eve]}, expect: {outcome: denied, rule: 2}}":     {`rule 2`, `rule 1, reason "banned"`},
		"{event: {joiningUser: {id: eve}}, params: {bans: []}, expect: {outcome: allowed, warnings: [x]}}": {`warnings ["x"]`, `warnings ["careful"]`},
		"{event: {joiningUser: {id: eve}}, params: {bans: []}, expect: {outcome: allowed, warnings: []}}":  {`warnings []`, `warnings ["careful"]`},
		"{expect: {outcome: allowed}}": {`allowed`, `failed, reason "rule 1: deny: there is no document \"bans\"; put one: roombus param put bans FILE"`},
	} {
		r := results(t, house+"  - "+test)[0]
		assert.False(t, r.OK, test)
		expected, actual := r.Text()
		assert.Equal(t, want, [2]string{expected, actual}, test)
	}
}

// The events of all interfaces have defaults, so that a case names only what it is about.
func TestRun_EventsHaveDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{PreRoomUserJoined: [{deny: "user.id == 'user' && actor.id == user.id && room.id == 'room' && room.memberCount == 1 && room.type == 'channel' && room.createdAt < event.time"}]}`,
		`{PreRoomUserLeave: [{deny: "user.id == 'user' && room.creator.id == 'creator' && room.displaySystemMessages"}]}`,
		`{PreRoomDeletePrevent: [{deny: "user.id == '' && room.slugifiedName == 'room' && event.time == timestamp('2026-01-01T12:00:00Z')"}]}`,
		`{PreRoomCreatePrevent: [{deny: "user.id == 'creator' && event.members.size() == 1 && room.memberCount == 1 && room.createdAt == event.time"}]}`,
		`{PreRoomUpdatePrevent: [{deny: "before.id == 'room' && after.displayName == before.displayName && event.changed.size() == 0 && room.id == 'room'"}]}`,
		`{PreRoomUserUpdatePrevent: [{deny: "before.id == 'user' && after.id == 'user' && event.changed.size() == 0"}]}`,
	} {
		r := results(t, "id: p\nrules: "+text+"\ntests: [{expect: {outcome: denied}}, {event: null, expect: {outcome: denied}}]")
		assert.True(t, r[0].OK && r[1].OK, "%s: %+v", text, r[0].Actual)
	}
}

// After an update, the record is as before except for the fields of the event.
func TestRun_UpdateKeepsTheOtherFields(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`
rules: {PreRoomUpdatePrevent: [{deny: "before.customFields.a == 1 && before.type == 'private_group' && after.type == 'private_group' &&
  after.displayName == 'X' && after.customFields.a == 1 && event.changed == ['displayName'] && room.type == 'private_group'"}]}
tests: [{event: {before: {type: private_group, customFields: {a: 1}}, after: {displayName: X}}, expect: {outcome: denied}}]`, `
rules: {PreRoomUpdatePrevent: [{deny: "before.customFields == {'a': 1} && after.customFields == {'b': 2} && event.changed == ['customFields.a', 'customFields.b']"}]}
tests: [{event: {before: {customFields: {a: 1}}, after: {customFields: {b: 2}}}, expect: {outcome: denied}}]`, `
rules: {PreRoomUserUpdatePrevent: [{deny: "before.roles == ['a', 'b'] && after.roles == ['c'] && after.attributes == {'x': 1} && event.changed == ['roles']"}]}
tests: [{event: {userBefore: {roles: [a, b], attributes: {x: 1}}, userAfter: {roles: [c]}}, expect: {outcome: denied}}]`, `
rules: {PreRoomUserUpdatePrevent: [{deny: "before.attributes == {'x': 1} && after.attributes == {'y': 2} && after.roles == ['a']"}]}
tests: [{event: {userBefore: {roles: [a], attributes: {x: 1}}, userAfter: {attributes: {y: 2}}}, expect: {outcome: denied}}]`,
	} {
		r := results(t, "id: p"+text)[0]
		assert.True(t, r.OK, "%s: %+v", text, r.Actual)
	}
}

// The verdict is applied as the service does it. What the service drops is a failure.
func TestRun_ChangesAreApplied(t *testing.T) {
	t.Parallel()
	all := results(t, `
id: p
implements: [PreRoomCreateExtend, PreRoomCreateModify]
rules:
  PreRoomCreateExtend:
    - extend: {customFields: {team: '"red"'}, members: '["bot", {"id": "ann", "name": "Ann"}]'}
  PreRoomCreateModify:
    - modify: {displayName: room.slugifiedName + "!", description: null, customFields: '{"n": 5.0, "big": 9007199254740993}'}
    - modify: {memberCount: '9'}
tests:
  - interface: PreRoomCreateExtend
    event: {members: [{id: bob}, {id: bot}]}
    expect: {members: [ann, bob, bot, creator], room: {memberCount: 4, customFields: {team: red}, description: null}}
  - interface: PreRoomCreateExtend
    event: {room: {customFields: {team: blue}}}
    expect: {outcome: failed, reason: 'conflict: custom field "team" is set already; the extension is dropped', members: [creator], room: {customFields: {team: blue}}}
  - interface: PreRoomCreateModify
    expect: {outcome: failed, reason: 'the modification is dropped: memberCount cannot be changed', room: {memberCount: 1, displayName: null}}
`)
	for _, r := range all {
		assert.True(t, r.OK, "%s: %+v", r.Case, r.Checks)
	}
	modified := results(t, `
id: p
rules: {PreRoomCreateModify: [{modify: {displayName: room.slugifiedName + "!", description: null, customFields: '{"n": 5.0, "big": 9007199254740993}'}}]}
tests:
  - event: {room: {slugifiedName: a, description: d}}
    expect: {room: {displayName: a!, description: null, customFields: {n: 5.0, big: 9007199254740993}, creator: {id: creator}}}
  - expect: {room: {customFields: {big: 9007199254740992}}}
`)
	assert.True(t, modified[0].OK, "%+v", modified[0].Checks)
	assert.False(t, modified[1].OK, "large numbers are compared by their digits")
	expected, actual := modified[1].Text()
	assert.Equal(t, []string{"room.customFields.big 9007199254740992", "room.customFields.big 9007199254740993"}, []string{expected, actual})
}

// A condition that cannot be evaluated fails an essential policy. Another one decides.
func TestRun_Condition(t *testing.T) {
	t.Parallel()
	const conditional = `
id: p
when: {PreRoomUserJoined: room.customFields.quiet == true}
rules: {PreRoomUserJoined: [{deny: true}]}
shadow: true
enabled: false
tests:
  - {event: {room: {customFields: {quiet: true}}}, expect: {outcome: denied, rule: 1}}
  - {event: {room: {customFields: {quiet: false}}}, expect: {outcome: skipped, rule: 0}}
`
	for essentials, outcome := range map[string]string{"[]": "denied", "[PreRoomUserJoined]": "failed"} {
		for _, r := range results(t, conditional+"  - {expect: {outcome: "+outcome+"}}\nessentials: "+essentials) {
			assert.True(t, r.OK, "%s: %+v", essentials, r)
		}
	}
}

func TestRun_WrongCases(t *testing.T) {
	t.Parallel()
	const two = "id: p\nrules: {PreRoomUserJoined: [{deny: true}], PreRoomDeletePrevent: [{deny: true}]}\ntests: [{expect: {outcome: denied}, interface: PreRoomUserJoined}, "
	for test, says := range map[string]string{
		"{expect: {outcome: denied}}":                                                       "test 2: interface: the policy has several interfaces; choose one: PreRoomDeletePrevent, PreRoomUserJoined",
		"{interface: PreRoomUserLeave, expect: {outcome: denied}}":                          `test 2: interface: the policy has no interface "PreRoomUserLeave"; it has `,
		"{interface: PreRoomUserJoined}":                                                    "test 2: expect: it is empty; expect at least an outcome",
		"{interface: PreRoomUserJoined, expect: {outcome: deny}}":                           `test 2: expect: outcome must be allowed, denied, failed or skipped, not "deny"`,
		"{interface: PreRoomUserJoined, expect: {room: {id: x}}}":                           "test 2: expect: room and members are for PreRoomCreateExtend and PreRoomCreateModify; PreRoomUserJoined changes neither",
		"{interface: PreRoomUserJoined, event: {user: {id: x}}, expect: {rule: 1}}":         `unknown field "user"`,
		"{interface: PreRoomUserJoined, event: {leavingUser: {id: x}}, expect: {rule: 1}}":  `unknown field "leavingUser"`,
		"{interface: PreRoomUserJoined, event: {room: {type: private}}, expect: {rule: 1}}": "room.type must be one of",
		"{interface: PreRoomUserJoined, params: {bans: []}, expect: {rule: 1}}":             `test 2: params: the policy does not read "bans"; add it to the policy's params`,
	} {
		_, err := policytest.Run(document(t, two+test+"]"), nil)
		assert.ErrorContains(t, err, says, test)
	}
}

func TestRun_DocumentsOfTheCaseComeFirst(t *testing.T) {
	t.Parallel()
	d := document(t, `
id: p
params: [bans]
rules: {PreRoomUserJoined: [{deny: user.id in params.bans}]}
tests:
  - {expect: {outcome: denied}}
  - {params: {bans: []}, expect: {outcome: allowed}}
`)
	all, err := policytest.Run(d, map[string]json.RawMessage{"bans": []byte(`["user"]`), "other": []byte(`{`)})
	require.NoError(t, err)
	assert.True(t, all[0].OK && all[1].OK, all)
	text, failed := policytest.Summary(all)
	assert.Equal(t, "tests: 2, ok: 2, failed: 0", text)
	assert.Zero(t, failed)
}

// The body of every pre-event, as the service sends it, is an event.
func TestEvent_BodiesOfTheWire(t *testing.T) {
	t.Parallel()
	for name, i := range map[string]room.Interface{
		"create": room.PreRoomCreatePrevent, "delete": room.PreRoomDeletePrevent, "userjoin": room.PreRoomUserJoined,
		"userleave": room.PreRoomUserLeave, "update": room.PreRoomUpdatePrevent, "userupdate": room.PreRoomUserUpdatePrevent,
	} {
		body, err := os.ReadFile("../../room/testdata/pre_" + name + ".json")
		require.NoError(t, err)
		e, err := policytest.Event(i, body, time.Now())
		require.NoError(t, err, name)
		var want room.Data
		require.NoError(t, room.Decode(body, &want))
		assert.Equal(t, want, *e.Data, name)
	}
}

func TestEvaluate_PreEventOfTheWire(t *testing.T) {
	t.Parallel()
	p, err := policytest.New(document(t, `{id: p, rules: {PreRoomCreateExtend: [{extend: {members: '["bot"]'}}]}}`).Manifest)
	require.NoError(t, err)
	e, err := policytest.Event(room.PreRoomCreateExtend, []byte(`{"room":{"id":"r1","slugifiedName":"r1","type":"channel","creator":{"id":"ada"},"isDefault":false,"isReadOnly":false,"displaySystemMessages":true,"createdAt":"2026-01-02T15:04:05.678901Z","memberCount":1,"version":0},"members":[{"id":"ada"}]}`), time.Now())
	require.NoError(t, err)
	o := p.Evaluate(room.PreRoomCreateExtend, e, nil)
	assert.Equal(t, room.Allowed, o.Outcome)
	assert.Equal(t, []room.User{{ID: "ada"}, {ID: "bot"}}, o.Members)
	assert.Equal(t, 2, o.Room.MemberCount)
	assert.Equal(t, []string{"members"}, o.Changed)
}
