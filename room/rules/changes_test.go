package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// An outcome lists the fields that the app changed.
func TestCombine_RecordsChangedFields(t *testing.T) {
	t.Parallel()
	modifies := func(json string) rules.Answer {
		return rules.Answer{App: "m", Outcome: room.Allowed, Modified: []byte(json)}
	}
	const record = `"id":"r1","slugifiedName":"r1","type":"channel","createdAt":"2026-01-02T15:04:05.678901Z","memberCount":1,"version":0`
	for name, c := range map[string]struct {
		phase   room.Interface
		answer  rules.Answer
		changed []string
	}{
		"nothing":         {room.PreRoomCreateExtend, allows("a", room.Verdict{}), nil},
		"an extension":    {room.PreRoomCreateExtend, extends("a", room.Extension{CustomFields: map[string]any{"b": 1, "a": 2}, Members: []room.User{bob}}), []string{"members", "customFields.a", "customFields.b"}},
		"a known member":  {room.PreRoomCreateExtend, extends("a", room.Extension{Members: []room.User{alice}}), nil},
		"one too many":    {room.PreRoomCreateExtend, extends("a", room.Extension{CustomFields: map[string]any{"own": 1, "a": 2}}), nil},
		"no modification": {room.PreRoomCreateModify, modifies(`{` + record + `,"creator":{"id":"alice","username":"alice.a","name":"Alice","roles":["admin"],"attributes":{"badge":9007199254740993}},"isDefault":false,"isReadOnly":false,"displaySystemMessages":true,"customFields":{"own":"1"}}`), nil},
		"a modification": {
			room.PreRoomCreateModify, modifies(`{` + record + `,"creator":{"id":"zoe"},"isDefault":true,"isReadOnly":true,"displaySystemMessages":false,"description":"d","displayName":"D","parentRoomId":"p","customFields":{"new":[1]}}`),
			[]string{"creator", "description", "displayName", "displaySystemMessages", "isDefault", "isReadOnly", "members", "parentRoomId", "customFields.new", "customFields.own"},
		},
	} {
		d, _, err := rules.Combine(creation(t), c.phase, []rules.Answer{c.answer})
		require.NoError(t, err)
		assert.Equal(t, c.changed, d.Data.Apps[0].Changed, "%s: %s", name, d.Data.Apps[0].Reason)
	}
}

// The list of changed fields is bounded.
func TestCombine_ChangedFieldsAreBounded(t *testing.T) {
	t.Parallel()
	fields := make(map[string]any)
	for n := range 100 {
		fields[strings.Repeat("é", 100)+string(rune('a'+n))] = n
	}
	d, _, err := rules.Combine(creation(t), room.PreRoomCreateExtend, []rules.Answer{extends("a", room.Extension{CustomFields: fields})})
	require.NoError(t, err)
	require.Len(t, d.Data.Apps[0].Changed, room.MaxChanged)
	for _, name := range d.Data.Apps[0].Changed {
		assert.LessOrEqual(t, len(name), 64+len("…"))
	}
}

// A field that is only encoded differently is not reported as changed.
func TestCombine_ChangedListsDifferencesOnTheWire(t *testing.T) {
	t.Parallel()
	before := creation(t)
	before.Data.Room.Creator = room.User{ID: "alice", Roles: []string{}, Attributes: map[string]any{}}
	before.Data.Room.CustomFields = map[string]any{"null": nil, "gone": nil, "five": json.Number("5")}
	after := before.Data.Room
	after.Creator = room.User{ID: "alice"}
	after.CustomFields = map[string]any{"null": nil, "five": json.Number("5.0"), "made": nil}
	d, _, err := rules.Combine(before, room.PreRoomCreateModify, []rules.Answer{{App: "a", Outcome: room.Allowed, Modified: rewritten(t, after)}})
	require.NoError(t, err)
	assert.Equal(t, []string{"customFields.five", "customFields.gone", "customFields.made"}, d.Data.Apps[0].Changed)
	assert.Equal(t, after.CustomFields, d.Data.Room.CustomFields)
}
