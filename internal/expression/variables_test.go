package expression_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

func TestVariables_EachEvent(t *testing.T) {
	t.Parallel()
	const r = `"room":{"id":"r1","slugifiedName":"a","type":"channel","creator":{"id":"carol"},"createdAt":"2026-03-01T00:00:00Z"}`
	for name, c := range map[string]struct {
		on                             room.Interface
		body                           string
		kind, user, actor, firstMember string
	}{
		"create prevent":   {room.PreRoomCreatePrevent, `{` + r + `,"members":[{"id":"carol"},{"id":"erin"}]}`, "create", "carol", "carol", "carol"},
		"create extend":    {room.PreRoomCreateExtend, `{` + r + `,"members":[{"id":"carol"}]}`, "create", "carol", "carol", "carol"},
		"create modify":    {room.PreRoomCreateModify, `{` + r + `,"members":[{"id":"erin"}]}`, "create", "carol", "carol", "erin"},
		"delete":           {room.PreRoomDeletePrevent, `{` + r + `,"deletedBy":{"id":"dave"}}`, "delete", "dave", "dave", ""},
		"delete by nobody": {room.PreRoomDeletePrevent, `{` + r + `}`, "delete", "", "", ""},
		"join":             {room.PreRoomUserJoined, `{` + r + `,"joiningUser":{"id":"erin"}}`, "userjoin", "erin", "erin", ""},
		"join by invite":   {room.PreRoomUserJoined, `{` + r + `,"joiningUser":{"id":"erin"},"inviter":{"id":"dave"}}`, "userjoin", "erin", "dave", ""},
		"leave":            {room.PreRoomUserLeave, `{` + r + `,"leavingUser":{"id":"erin"}}`, "userleave", "erin", "erin", ""},
		"removal":          {room.PreRoomUserLeave, `{` + r + `,"leavingUser":{"id":"erin"},"removedBy":{"id":"dave"}}`, "userleave", "erin", "dave", ""},
		"update":           {room.PreRoomUpdatePrevent, `{` + r + `,"updatedBy":{"id":"dave"}}`, "update", "dave", "dave", ""},
		"update by nobody": {room.PreRoomUpdatePrevent, `{` + r + `}`, "update", "", "", ""},
		"user update":      {room.PreRoomUserUpdatePrevent, `{` + r + `,"userBefore":{"id":"erin"},"userAfter":{"id":"erin"}}`, "userupdate", "erin", "erin", ""},
		"user update by":   {room.PreRoomUserUpdatePrevent, `{` + r + `,"userBefore":{"id":"erin"},"updatedBy":{"id":"dave"}}`, "userupdate", "erin", "dave", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event(t, c.body)
			for source, want := range map[string]string{
				"user.id":                           c.user,
				"actor.id":                          c.actor,
				"event.type":                        c.kind,
				"event.interface":                   string(c.on),
				"event.id":                          "c1",
				"room.id":                           "r1",
				"room.creator.id":                   "carol",
				"string(event.time)":                "2026-03-06T21:30:00Z",
				`(event.members + [user])[0].id`:    firstOf(c.firstMember, c.user),
				`string(event.members.size() == 0)`: map[bool]string{true: "true", false: "false"}[c.firstMember == ""],
			} {
				holds, err := compiled(t, c.on, source+` == "`+want+`"`).Holds(e)
				require.NoError(t, err, source)
				assert.True(t, holds, "%s is not %q", source, want)
			}
		})
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestVariables_MissingUsersAreEmpty(t *testing.T) {
	t.Parallel()
	for _, i := range []room.Interface{
		room.PreRoomDeletePrevent, room.PreRoomUserJoined, room.PreRoomUserLeave, room.PreRoomUpdatePrevent, room.PreRoomUserUpdatePrevent,
	} {
		holds, err := compiled(t, i, `user.id == "" && actor == user && user.roles.size() == 0 && user.attributes.size() == 0`).Holds(expression.Event{})
		require.NoError(t, err)
		assert.True(t, holds, i)
	}
}

// before and after are rooms or users, by the interface.
func TestVariables_BeforeAndAfterAnUpdate(t *testing.T) {
	t.Parallel()
	e := event(t, `{
		"before": {"id":"r1","type":"channel"}, "after": {"id":"r1","type":"private_group","customFields":{"level":2}},
		"userBefore": {"id":"erin"}, "userAfter": {"id":"erin","roles":["admin"]}, "changed": ["type"]
	}`)
	for source, i := range map[string]room.Interface{
		`before.type == "channel" && after.type == "private_group" && after.customFields.level == 2`: room.PreRoomUpdatePrevent,
		`"type" in event.changed && !has(before.customFields) && before == after`:                    room.PreRoomUpdatePrevent,
		`!("admin" in before.roles) && "admin" in after.roles && user == before`:                     room.PreRoomUserUpdatePrevent,
	} {
		holds, err := compiled(t, i, source).Holds(e)
		require.NoError(t, err, source)
		assert.True(t, holds, source)
		empty, err := compiled(t, i, `before.id == "" && after.id == "" && event.changed == []`).Holds(expression.Event{})
		require.NoError(t, err)
		assert.True(t, empty, "an absent room or user is empty")
	}
	for source, refused := range map[string]struct {
		on   room.Interface
		says string
	}{
		`before.type == ""`:   {room.PreRoomUserUpdatePrevent, "undefined field 'type'"},
		`before.roles == []`:  {room.PreRoomUpdatePrevent, "undefined field 'roles'"},
		`before.id == "r1"`:   {room.PreRoomUserJoined, "undeclared reference to 'before'"},
		`after.id == user.id`: {room.PreRoomCreateModify, "undeclared reference to 'after'"},
	} {
		_, err := expression.Compile(refused.on, source)
		require.ErrorContains(t, err, refused.says, source)
	}
}

// Every field of the wire can be read, and has() reports whether it is empty.
func TestVariables_EveryFieldIsReadable(t *testing.T) {
	t.Parallel()
	full := event(t, `{
		"room": {
			"id": "r1", "displayName": "D", "slugifiedName": "s", "type": "channel", "creator": {"id": "u"},
			"isDefault": true, "isReadOnly": true, "displaySystemMessages": true, "description": "d",
			"customFields": {"a": 1}, "parentRoomId": "r0", "createdAt": "2026-03-01T00:00:00Z",
			"memberCount": 1, "version": 1
		},
		"members": [{"id": "u"}],
		"joiningUser": {"id": "u", "username": "n", "name": "N", "roles": ["r"], "attributes": {"a": 1}}
	}`)
	for variable, wire := range map[string]reflect.Type{
		"room":         reflect.TypeFor[room.Room](),
		"user":         reflect.TypeFor[room.User](),
		"actor":        reflect.TypeFor[room.User](),
		"room.creator": reflect.TypeFor[room.User](),
	} {
		for n := range wire.NumField() {
			name, _, _ := strings.Cut(wire.Field(n).Tag.Get("json"), ",")
			c := compiled(t, room.PreRoomUserJoined, "has("+variable+"."+name+")")
			holds, err := c.Holds(expression.Event{})
			require.NoError(t, err)
			assert.False(t, holds, "%s.%s is there, and empty", variable, name)
			if variable == "room.creator" && name != "id" {
				continue
			}
			holds, err = c.Holds(full)
			require.NoError(t, err)
			assert.True(t, holds, "%s.%s is not there", variable, name)
		}
	}
	holds, err := compiled(t, room.PreRoomUserJoined, `
		room.displayName == "D" && room.description == "d" && room.displaySystemMessages && room.isDefault &&
		room.parentRoomId == "r0" && room.memberCount == 1 && user.username == "n" && user.name == "N" &&
		has(event.members) && has(event.time) && has(event.id)`).Holds(full)
	require.NoError(t, err)
	assert.True(t, holds)
}

func TestVariables_TimesAreUTC(t *testing.T) {
	t.Parallel()
	e := event(t, `{"room":{"id":"r1","createdAt":"2026-03-01T00:30:00+02:00"}}`)
	e.Time = at.In(time.FixedZone("", -8*3600))
	holds, err := compiled(t, room.PreRoomDeletePrevent, `
		event.time.getHours() == 21 && string(event.time) == "2026-03-06T21:30:00Z" && event.time.getHours("+01:00") == 22 &&
		room.createdAt.getHours() == 22 && string(room.createdAt) == "2026-02-28T22:30:00Z"`).Holds(e)
	require.NoError(t, err)
	assert.True(t, holds)
}
