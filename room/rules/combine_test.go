package rules_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

func creation(t *testing.T, members ...room.User) rules.Draft {
	t.Helper()
	d, err := rules.Decide(rules.View{}, rules.Command{ID: "c", Time: at, Request: room.CreateRequest{
		Room: room.NewRoom{ID: "r1", SlugifiedName: "r1", Type: room.Channel, CustomFields: map[string]any{"own": "1"}}, Creator: alice, Members: members,
	}})
	require.NoError(t, err)
	return *d
}

func allows(app string, v room.Verdict) rules.Answer {
	v.Verdict = room.Allow
	return rules.Answer{App: app, Outcome: room.Allowed, Verdict: v, Took: 1500 * time.Microsecond}
}

func extends(app string, x room.Extension) rules.Answer {
	return allows(app, room.Verdict{Extend: &x})
}

func TestCombine_FirstDenialInOrderIsReported(t *testing.T) {
	t.Parallel()
	d := creation(t)
	_, _, err := rules.Combine(d, room.PreRoomCreatePrevent, []rules.Answer{
		{App: "a", Outcome: room.TimedOut, Essential: true},
		allows("b", room.Verdict{}),
		{App: "c", Outcome: room.Denied, Reason: "first"},
		{App: "d", Outcome: room.Denied, Reason: "second"},
	})
	var e *room.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, room.CodePrevented, e.Code)
	assert.Equal(t, "c", e.App)
	assert.Equal(t, "first", e.Reason)
	require.Len(t, e.Apps, 4, "every app asked is recorded")
	assert.Equal(t, room.AppOutcome{App: "b", Interface: room.PreRoomCreatePrevent, Outcome: room.Allowed, Ms: 1.5}, e.Apps[1])
}

func TestCombine_OnlyEssentialAppsBlockWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, o := range []room.Outcome{room.Failed, room.TimedOut, room.Unavailable} {
		_, _, err := rules.Combine(creation(t), room.PreRoomCreatePrevent, []rules.Answer{{App: "a", Outcome: o}})
		require.NoError(t, err, o)
		_, _, err = rules.Combine(creation(t), room.PreRoomCreatePrevent, []rules.Answer{{App: "a", Outcome: o, Essential: true, Reason: "because"}})
		var e *room.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, room.CodeEssentialAppUnavailable, e.Code)
		assert.Equal(t, "a", e.App)
		assert.Equal(t, "because", e.Reason)
	}
	_, _, err := rules.Combine(creation(t), room.PreRoomCreatePrevent, []rules.Answer{{App: "a", Outcome: room.Skipped, Essential: true}})
	require.NoError(t, err, "to skip is to answer")
}

func TestCombine_ShadowIsRecordedNotEnforced(t *testing.T) {
	t.Parallel()
	d, _, err := rules.Combine(creation(t), room.PreRoomCreatePrevent, []rules.Answer{
		{App: "a", Outcome: room.Denied, Shadow: true}, {App: "b", Outcome: room.Failed, Essential: true, Shadow: true},
	})
	require.NoError(t, err)
	assert.True(t, d.Data.Apps[0].Shadow)
	shadowed := extends("c", room.Extension{CustomFields: map[string]any{"k": 1}})
	shadowed.Shadow = true
	d, _, err = rules.Combine(d, room.PreRoomCreateExtend, []rules.Answer{shadowed})
	require.NoError(t, err)
	assert.NotContains(t, d.Data.Room.CustomFields, "k")
}

func TestCombine_ExtendConflictKeepsEarlierKey(t *testing.T) {
	t.Parallel()
	before := creation(t)
	d, _, err := rules.Combine(before, room.PreRoomCreateExtend, []rules.Answer{
		extends("a", room.Extension{CustomFields: map[string]any{"k": "a"}, Members: []room.User{bob, alice}}),
		extends("b", room.Extension{CustomFields: map[string]any{"k": "b", "l": "b"}, Members: []room.User{{ID: "zoe"}}}),
		extends("c", room.Extension{CustomFields: map[string]any{"own": "2"}}),
		extends("d", room.Extension{CustomFields: map[string]any{"m": "d"}}),
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"own": "1", "k": "a", "m": "d"}, d.Data.Room.CustomFields)
	assert.Equal(t, []room.User{alice, bob}, d.Data.Members)
	assert.Equal(t, 2, d.Data.Room.MemberCount)
	assert.Equal(t, room.Failed, d.Data.Apps[1].Outcome)
	assert.Contains(t, d.Data.Apps[1].Reason, `custom field "k" is set already`)
	assert.Equal(t, room.Failed, d.Data.Apps[2].Outcome)
	assert.Equal(t, map[string]any{"own": "1"}, before.Data.Room.CustomFields, "the draft before is left alone")
}

func TestCombine_ExtensionOverBoundIsDropped(t *testing.T) {
	t.Parallel()
	many := make([]room.User, room.MaxNewMembers)
	for n := range many {
		many[n].ID = "m" + strconv.Itoa(n)
	}
	d, _, err := rules.Combine(creation(t, many...), room.PreRoomCreateExtend, []rules.Answer{
		extends("a", room.Extension{Members: []room.User{{ID: "one-more"}}}),
		extends("b", room.Extension{CustomFields: map[string]any{"big": string(make([]byte, room.MaxRoomBytes))}}),
		extends("c", room.Extension{CustomFields: map[string]any{"small": "s"}, Members: many[:3]}),
	})
	require.NoError(t, err)
	assert.Equal(t, []room.Outcome{room.Failed, room.Failed, room.Allowed}, []room.Outcome{d.Data.Apps[0].Outcome, d.Data.Apps[1].Outcome, d.Data.Apps[2].Outcome})
	assert.Len(t, d.Data.Members, room.MaxNewMembers+1)
	assert.Equal(t, map[string]any{"own": "1", "small": "s"}, d.Data.Room.CustomFields)
}

func TestCombine_ModifyCannotChangeServiceFields(t *testing.T) {
	t.Parallel()
	modified := func(change func(*room.Room)) rules.Answer {
		r := creation(t).Data.Room
		change(&r)
		data, err := json.Marshal(r)
		require.NoError(t, err)
		return rules.Answer{App: "a", Outcome: room.Allowed, Modified: data}
	}
	raw := func(s string) rules.Answer { return rules.Answer{App: "a", Outcome: room.Allowed, Modified: []byte(s)} }
	for name, c := range map[string]struct {
		answer rules.Answer
		says   string
	}{
		"id":            {modified(func(r *room.Room) { r.ID = "other" }), "id cannot be changed"},
		"createdAt":     {modified(func(r *room.Room) { r.CreatedAt = at.Add(1) }), "createdAt cannot be changed"},
		"memberCount":   {modified(func(r *room.Room) { r.MemberCount = 9 }), "memberCount cannot be changed"},
		"version":       {modified(func(r *room.Room) { r.Version = 9 }), "version cannot be changed"},
		"no name":       {modified(func(r *room.Room) { r.SlugifiedName = "" }), "slugifiedName is required"},
		"bad type":      {modified(func(r *room.Room) { r.Type = "forum" }), "room.type"},
		"no creator":    {modified(func(r *room.Room) { r.Creator = room.User{} }), "creator.id"},
		"unknown field": {raw(`{"id":"r1","color":"red"}`), "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _, err := rules.Combine(creation(t), room.PreRoomCreateModify, []rules.Answer{c.answer})
			require.NoError(t, err)
			assert.Equal(t, room.Failed, d.Data.Apps[0].Outcome)
			assert.Contains(t, d.Data.Apps[0].Reason, c.says)
			assert.Equal(t, creation(t).Data.Room, d.Data.Room)

			c.answer.Essential = true
			_, _, err = rules.Combine(creation(t), room.PreRoomCreateModify, []rules.Answer{c.answer})
			require.ErrorIs(t, err, &room.Error{Code: room.CodeEssentialAppUnavailable})
		})
	}

	d, _, err := rules.Combine(creation(t), room.PreRoomCreateModify, []rules.Answer{modified(func(r *room.Room) {
		r.DisplayName, r.Type, r.Creator, r.CustomFields, r.DisplaySystemMessages = "D", room.PrivateGroup, bob, nil, false
	})})
	require.NoError(t, err)
	assert.Equal(t, "D", d.Data.Room.DisplayName)
	assert.Equal(t, []room.User{bob, alice}, d.Data.Members, "the new creator is a member")
	assert.Equal(t, 2, d.Data.Room.MemberCount)
	assert.Nil(t, d.Data.Room.CustomFields)
}

// The service counts the outcomes of the returned answers. An app's change that cannot be applied is a
// failure there, too.
func TestCombine_ReturnsFailureOfDroppedChange(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*room.MaxReasonBytes)
	given := []rules.Answer{extends("a", room.Extension{CustomFields: map[string]any{"own": 1}}), {App: "b", Outcome: room.Failed, Reason: long}}
	before := slices.Clone(given)
	_, answers, err := rules.Combine(creation(t), room.PreRoomCreateExtend, given)
	require.NoError(t, err)
	assert.Equal(t, room.Failed, answers[0].Outcome)
	assert.Contains(t, answers[0].Reason, `custom field "own" is set already`)
	assert.Len(t, answers[1].Reason, room.MaxReasonBytes)
	assert.Equal(t, before, given, "the answers before are left alone")
}
