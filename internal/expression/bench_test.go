package expression_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

const simple = `room.type == "private_group" && user.id.startsWith("bot-")`

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := expression.Compile(room.PreRoomUserJoined, simple); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHolds(b *testing.B) {
	small, large := event(b, join), crowded()
	for _, c := range []struct {
		name, source string
		on           expression.Event
	}{
		{"simple", simple, small},
		{"simple-of-a-large-room", simple, large},
		{"custom-fields", `room.customFields.tier == "gold" && room.customFields.limit > 3`, small},
		{"nested-field", `room.customFields.owner.team.name == user.attributes.team`, small},
		{"roles", `"admin" in actor.roles`, small},
		{"list-made", `user.id in [actor.id, room.creator.id]`, small},
		{"pattern", `room.slugifiedName.matches("^gold-[a-z]+$")`, small},
		{"count-of-5001-members", `event.members.size() > 100`, large},
		{"each-of-5001-members", `event.members.exists(m, m.id.startsWith("bot-"))`, large},
		{"each-of-10000-numbers", `room.customFields.ones.exists(x, x > 1)`, large},
	} {
		b.Run(c.name, func(b *testing.B) {
			condition := compiled(b, room.PreRoomUserJoined, c.source)
			b.ReportAllocs()
			for b.Loop() {
				_, err := condition.Holds(c.on)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkGivenUp measures an evaluation that is cancelled at MaxCost.
func BenchmarkGivenUp(b *testing.B) {
	e := crowded()
	for name, source := range map[string]string{
		"numbers":    `room.customFields.ones.exists(x, room.customFields.ones.exists(y, x + y == 3))`,
		"search":     `room.customFields.ones.exists(x, 2 in room.customFields.ones)`,
		"comparison": `room.customFields.ones.all(x, room.customFields.deep == room.customFields.deep)`,
		"members":    `event.members.exists(m, ["a", "b", "c", "d", "e", "f"].exists(x, x == m.id))`,
		"patterns":   `room.customFields.ones.exists(x, room.description.matches("((x+x+)+y|z)"))`,
		"lists":      `room.customFields.ones.exists(x, [x, x].exists(y, [y] == [2]))`,
		"errors":     `room.customFields.ones.exists(x, int("x" + room.id) == 7)`,
		"time-zones": `room.customFields.ones.exists(x, event.time.getHours("Europe/Berlin") == 7)`,
	} {
		b.Run(name, func(b *testing.B) {
			c := compiled(b, room.PreRoomCreatePrevent, source)
			for b.Loop() {
				_, err := c.Holds(e)
				require.ErrorIs(b, err, expression.ErrTooCostly)
			}
		})
	}
}
