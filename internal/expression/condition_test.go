package expression_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// at is the time of the events in the tests: a Friday at 22:30 in Berlin.
var at = time.Date(2026, 3, 6, 21, 30, 0, 0, time.UTC)

// event decodes a pre-event as the room service does.
func event(t testing.TB, body string) expression.Event {
	t.Helper()
	e := expression.Event{ID: "c1", Time: at, Data: &room.Data{}}
	require.NoError(t, room.DecodeLenient([]byte(body), e.Data))
	return e
}

func compiled(t testing.TB, i room.Interface, source string) *expression.Condition {
	t.Helper()
	c, err := expression.Compile(i, source)
	require.NoError(t, err)
	return c
}

const join = `{
	"room": {
		"id": "r1", "slugifiedName": "gold-customers", "type": "private_group",
		"creator": {"id": "carol", "username": "carol", "roles": ["owner"]},
		"isReadOnly": true,
		"customFields": {
			"tier": "gold", "limit": 5, "tags": ["a", "b"], "nothing": null,
			"owner": {"team": {"name": "blue"}}
		},
		"parentRoomId": "r0", "createdAt": "2026-03-01T00:00:00Z", "memberCount": 3, "version": 7
	},
	"joiningUser": {"id": "bot-1", "name": "Bot", "attributes": {"team": "blue"}},
	"inviter": {"id": "dave", "username": "dave", "roles": ["admin", "user"]}
}`

func TestHolds(t *testing.T) {
	t.Parallel()
	e := event(t, join)
	for source, holds := range map[string]bool{
		`true`:  true,
		`false`: false,
		`room.type == "private_group" && user.id.startsWith("bot-")`: true,
		`room.type == "channel" || user.id.startsWith("guest-")`:     false,
		`room.type in ["channel", "private_group"]`:                  true,
		`"admin" in actor.roles`:                                     true,
		`"admin" in user.roles`:                                      false,
		`actor.roles.exists(r, r == "admin")`:                        true,
		`actor.roles.filter(r, r != "user").size() == 1`:             true,
		`actor.roles.map(r, r + "!")[0] == "admin!"`:                 true,
		`room.memberCount > 2 && room.memberCount < 2.5`:             false,
		`room.version == 7`:                                          true,
		`room.isReadOnly && !room.isDefault`:                         true,
		`room.slugifiedName.matches("^gold-")`:                       true,
		`room.slugifiedName.matches("^(?i)SILVER-")`:                 false,
		`room.createdAt < event.time`:                                true,
		`event.time - room.createdAt > duration("24h")`:              true,
		`room.createdAt == timestamp("2026-03-01T00:00:00Z")`:        true,
		`event.time.getHours("+01:00") >= 22`:                        true,
		`event.time.getDayOfWeek() == 5`:                             true,
		`user != actor`:                                              true,
		`user == room.creator`:                                       false,
		`user in [actor, user]`:                                      true,
		`actor.id in [room.creator.id, user.id]`:                     false,

		`room.customFields.tier == "gold"`:                                         true,
		`room.customFields["tier"] == "gold"`:                                      true,
		`has(room.customFields.tier)`:                                              true,
		`has(room.customFields.rank)`:                                              false,
		`"tier" in room.customFields`:                                              true,
		`"rank" in room.customFields`:                                              false,
		`room.customFields.exists(k, k == "tier")`:                                 true,
		`room.customFields.limit > 3`:                                              true,
		`room.customFields.tags.exists(t, t == "b")`:                               true,
		`room.customFields.tags == ["a", "b"]`:                                     true,
		`room.customFields.owner == {"team": {"name": "blue"}}`:                    true,
		`user.attributes.team == room.customFields.owner.team.name`:                true,
		`has(room.customFields.owner.team)`:                                        true,
		`has(room.customFields.owner.boss)`:                                        false,
		`room.customFields.nothing == null`:                                        true,
		`has(room.customFields.nothing)`:                                           true,
		`room.customFields.tier != null`:                                           true,
		`room.customFields.rank == "gold" || user.id == "bot-1"`:                   true,
		`has(room.customFields.rank) && room.customFields.rank == 1`:               false,
		`dyn(user).id == "bot-1" && has(dyn(user).name) && !has(dyn(user).roles)`:  true,
		`type(user) == type(actor) && type(room.customFields.tier) == string`:      true,
		`[dyn(room), dyn(user), dyn(event)].filter(x, x == dyn(user)).size() == 1`: true,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			got, err := compiled(t, room.PreRoomUserJoined, source).Holds(e)
			require.NoError(t, err)
			assert.Equal(t, holds, got)
		})
	}
}

func TestHolds_Concurrent(t *testing.T) {
	t.Parallel()
	e := event(t, join)
	for _, source := range []string{
		`room.customFields.tags.exists(t, t == "b") && room.customFields.owner == {"team": {"name": "blue"}}`,
		`actor.roles.map(r, r + "!").size() == 2 && user.attributes == {"team": "blue"}`,
		`room.customFields.limit.matches("5") && room.isReadOnly`,         // fails
		`room.customFields.limit.getHours() == 5 && room.isReadOnly`,      // fails
		`room.customFields.limit.startsWith("5") || room.isReadOnly`,      // holds although one side fails
		`room.customFields.tags.all(t, t.matches("a|b")) && true`,         // one pattern for all
		`room.customFields.nothing.matches("5") || 1 / 0 == room.version`, // fails
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			c := compiled(t, room.PreRoomUserJoined, source)
			var holds [4]bool
			var failures [4]error
			var all sync.WaitGroup
			for n := range holds {
				all.Go(func() {
					for range 50 {
						holds[n], failures[n] = c.Holds(e)
					}
				})
			}
			all.Wait()
			for n := range holds {
				assert.Equal(t, holds[0], holds[n])
				assert.Equal(t, failures[0], failures[n])
			}
		})
	}
}

func TestHolds_DoesNotChangeEvent(t *testing.T) {
	t.Parallel()
	e := event(t, join)
	_, err := compiled(t, room.PreRoomUserJoined,
		`room.customFields.tags.map(x, x + x) + actor.roles == room.customFields.tags && event.members.size() == 1`).Holds(e)
	require.NoError(t, err)
	assert.Equal(t, event(t, join), e)
}
