package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// policy returns a policy with that reason in its rule.
func policy(version, reason string) room.Manifest {
	return room.Manifest{
		ID: "house", Version: version, Implements: []room.Interface{room.PreRoomUserJoined},
		Rules: map[room.Interface][]room.Rule{room.PreRoomUserJoined: {{Deny: "true", Reason: reason}}},
	}
}

// inForce returns a registered policy as the service lists it.
func inForce(version string, s room.AppState) *room.App {
	r := room.Registration{Manifest: policy(version, "was"), Operator: s.Operator}
	return &room.App{Manifest: r.Effective(), State: &s}
}

func TestApply_ChoosesVersion(t *testing.T) {
	t.Parallel()
	operator := room.AppState{Operator: room.Settings{Enabled: new(false), Shadow: new(true)}}
	rolledBack := room.AppState{RolledBackFrom: "1.4.0"}
	for name, c := range map[string]struct {
		file    room.Manifest
		was     *room.App
		version string
		changed bool
	}{
		"new":                             {policy("", "is"), nil, "1.0.0", true},
		"new with a version":              {policy("0.3.0", "is"), nil, "0.3.0", true},
		"same":                            {policy("", "was"), inForce("1.2.3", room.AppState{}), "1.2.3", false},
		"same, set by an operator":        {policy("", "was"), inForce("1.2.3", operator), "1.2.3", false},
		"same with its version":           {policy("1.2.3", "was"), inForce("1.2.3", room.AppState{}), "1.2.3", false},
		"same with a later version":       {policy("1.3.0", "was"), inForce("1.2.3", room.AppState{}), "1.3.0", true},
		"different":                       {policy("", "is"), inForce("1.2.3", room.AppState{}), "1.2.4", true},
		"different from a pre-release":    {policy("", "is"), inForce("1.2.3-rc.1", room.AppState{}), "1.2.3", true},
		"different, set by an operator":   {policy("", "is"), inForce("1.2.3", operator), "1.2.4", true},
		"different with a later version":  {policy("2.0.0", "is"), inForce("1.2.3", room.AppState{}), "2.0.0", true},
		"rolled back, same":               {policy("", "was"), inForce("1.2.3", rolledBack), "1.2.3", false},
		"rolled back, different":          {policy("", "is"), inForce("1.2.3", rolledBack), "1.4.1", true},
		"rolled back, its version, same":  {policy("1.2.3", "was"), inForce("1.2.3", rolledBack), "1.2.3", false},
		"rolled back, with later version": {policy("1.4.1", "was"), inForce("1.2.3", rolledBack), "1.4.1", true},
	} {
		s, err := next(c.file, c.was)
		require.NoError(t, err, name)
		assert.Equal(t, c.version, s.manifest.Version, name)
		assert.Equal(t, c.changed, s.changed, name)
	}
}

func TestApply_RefusesVersion(t *testing.T) {
	t.Parallel()
	for says, c := range map[string]struct {
		file room.Manifest
		was  *room.App
	}{
		"house: version 1.2.3 is registered with another manifest (rules): leave the version out":          {policy("1.2.3", "is"), inForce("1.2.3", room.AppState{})},
		"house: version 1.2.2 is not later than 1.2.3: leave the version out":                              {policy("1.2.2", "is"), inForce("1.2.3", room.AppState{})},
		"house: version 1.3.0 is not later than 1.4.0":                                                     {policy("1.3.0", "is"), inForce("1.2.3", room.AppState{RolledBackFrom: "1.4.0"})},
		"house is an app with workers: choose another id, or remove the app first: roombus app remove hou": {policy("", "is"), &room.App{Manifest: room.Manifest{ID: "house", Version: "1.0.0"}}},
	} {
		_, err := next(c.file, c.was)
		assert.ErrorContains(t, err, says)
		assert.Equal(t, exitUsage, exitStatus(err))
	}
}

func TestApply_NotesInterfacesThatAMissingDocumentOpens(t *testing.T) {
	t.Parallel()
	m := policy("1.0.0", "")
	m.Params = []string{"bans"}
	assert.Empty(t, notes(m), "no rule reads a document")
	m.Rules[room.PreRoomUserJoined][0].Deny = "user.id in params.bans"
	m.Rules[room.PreRoomDeletePrevent] = []room.Rule{{Deny: "true"}}
	m.Essentials = []room.Interface{room.PreRoomDeletePrevent}
	assert.Equal(t, []string{"while a document is missing (bans), everything passes PreRoomUserJoined; " +
		"to refuse it instead, add the line  essentials: [PreRoomDeletePrevent, PreRoomUserJoined]"}, notes(m))
	m.Essentials = []room.Interface{room.PreRoomUserJoined}
	assert.Empty(t, notes(m))
}

func TestShow_LeavesOutOperator(t *testing.T) {
	t.Parallel()
	m := withoutOperator(*inForce("1.0.0", room.AppState{Operator: room.Settings{Enabled: new(false), Shadow: new(true)}}))
	assert.True(t, m.IsEnabled())
	assert.False(t, m.Shadow)
}

func TestRuleOf_LastPhaseCounts(t *testing.T) {
	t.Parallel()
	e := room.Error{App: "house", Apps: []room.AppOutcome{
		{App: "house", Outcome: room.Failed, Rule: 1}, {App: "house", Outcome: room.Denied, Rule: 3}, {App: "house", Rule: 5, Shadow: true}, {App: "other", Rule: 4},
	}}
	assert.Equal(t, 3, ruleOf(e))
	assert.Zero(t, ruleOf(room.Error{App: "guard"}))
	assert.Equal(t, "denied by house rule 3, : banned", cause(room.Rejection{Kind: room.RejectionDenied, Error: room.Error{App: "house", Reason: "banned", Apps: e.Apps}}, paint{}))
}

func TestRuleText_HasAllFields(t *testing.T) {
	t.Parallel()
	for text, r := range map[string]room.Rule{
		`deny: a || b; reason: no`:                          {Deny: "a ||\n  b", Reason: "no"},
		`deny: a; reasonExpression: "x"`:                    {Deny: "a", ReasonExpression: `"x"`},
		`warn: "x"`:                                         {Warn: `"x"`},
		`modify.displayName: "x"; modify.description: null`: {Modify: map[string]*room.Expression{"description": nil, "displayName": new(room.Expression(`"x"`))}},
		`extend.customFields.k: 1; extend.members: []`:      {Extend: &room.ExtendRule{CustomFields: map[string]room.Expression{"k": "1"}, Members: "[]"}},
	} {
		assert.Equal(t, text, ruleText(r))
	}
}
