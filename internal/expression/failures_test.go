package expression_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

func TestFailures(t *testing.T) {
	t.Parallel()
	for source, says := range map[string]string{
		`room.customFields.rank == "gold"`:                  `1:18: no such key: rank`,
		"true &&\n room.customFields.owner.boss == 1":       `2:25: no such key: boss`,
		`room.customFields.tier.name == "gold"`:             `1:23: no such key: name`,
		`room.customFields.nothing.name == "gold"`:          `1:26: no such key: name`,
		`room.customFields.nothing > 3`:                     `1:27: no such overload: _>_`,
		`room.customFields.tier > 3`:                        `1:24: no such overload`,
		`room.customFields.limit.matches("5")`:              `no such overload`,
		`room.customFields.limit.startsWith("5")`:           `1:35: no such overload`,
		`room.customFields.tier && true`:                    `1:24: no such overload`,
		`room.customFields.tags[2] == "c"`:                  `1:23: index out of bounds: 2`,
		`room.customFields.limit.exists(x, x == 5)`:         `got 'types.Int', expected iterable type`,
		`event.members[0].id == "a"`:                        `1:17: index out of bounds: 0`,
		`room.memberCount / (room.version - 7) == 1`:        `1:18: division by zero`,
		`room.memberCount + 9223372036854775807 == 1`:       `1:18: integer overflow`,
		`int(room.slugifiedName) == 1`:                      `1:4: type conversion error from 'string' to 'int'`,
		`event.time.getHours("Mars/Olympus") == 1`:          `1:20: unknown time zone Mars/Olympus`,
		`dyn(user).nick == ""`:                              `1:10: no such field: nick`,
		`has(dyn(user).nick)`:                               `1:4: no such field: nick`,
		`room.customFields["a\nb"] == 1`:                    `1:18: no such key: a b`,
		`event.members.all(m, m.attributes.team == "blue")`: ``, // there are no members
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			holds, err := compiled(t, room.PreRoomUserJoined, source).Holds(event(t, join))
			if says == "" {
				require.NoError(t, err)
				assert.True(t, holds)
				return
			}
			require.EqualError(t, err, "when: PreRoomUserJoined: "+says)
			require.NotErrorIs(t, err, expression.ErrTooCostly)
			assert.False(t, holds)
		})
	}
}

func TestFailures_HaveOneShortLine(t *testing.T) {
	t.Parallel()
	c := compiled(t, room.PreRoomUserJoined, `room.customFields[user.id] == 1`)
	for id, says := range map[string]string{
		"a\r\n\tb":                "no such key: a   b",
		"a\xffb":                  "no such key: a\uFFFDb",
		strings.Repeat("ü", 1000): "no such key: " + strings.Repeat("ü", 140) + "…",
		strings.Repeat("日", 1000): "no such key: " + strings.Repeat("日", 93) + "…",
	} {
		_, err := c.Holds(expression.Event{Data: &room.Data{JoiningUser: &room.User{ID: id}}})
		require.EqualError(t, err, "when: PreRoomUserJoined: 1:18: "+says)
		requireOneLine(t, err)
	}
}
