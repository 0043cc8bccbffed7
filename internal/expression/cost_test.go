package expression_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// crowded is the creation of a room of about the maximum size.
func crowded() expression.Event {
	members := make([]room.User, room.MaxNewMembers+1)
	for n := range members {
		members[n] = room.User{ID: fmt.Sprintf("user-%d", n), Roles: []string{"user"}, Attributes: map[string]any{"age": json.Number("30")}}
	}
	ones := slices.Repeat([]any{json.Number("1")}, 10_000)
	keys := make(map[string]any)
	for n := range 5000 {
		keys[fmt.Sprintf("key-%d", n)] = true
	}
	return expression.Event{ID: "c1", Time: at, Data: &room.Data{
		Members: members,
		Room: room.Room{
			ID: "r1", Creator: members[0], MemberCount: len(members),
			Description: strings.Repeat("x", 40_000),
			CustomFields: map[string]any{
				"ones": ones, "deep": map[string]any{"ones": ones}, "same": strings.Repeat("x", 40_000),
				"two": append(ones[1:len(ones):len(ones)], json.Number("2")), "lists": []any{ones}, "keys": keys,
			},
		},
	}}
}

func TestCost_LargestRoomIsWithinLimit(t *testing.T) {
	t.Parallel()
	e := crowded()
	for source, holds := range map[string]bool{
		`event.members.exists(m, m.id.startsWith("bot-"))`:                       false,
		`event.members.exists(m, m.id.startsWith("bot-") || "admin" in m.roles)`: false,
		`event.members.exists(m, m.id.matches("^bot-[0-9]+$"))`:                  false,
		`event.members.all(m, has(m.attributes.age) && m.attributes.age >= 18)`:  true,
		`user in event.members`:                                 true,
		`"user-5000" in event.members.map(m, m.id)`:             true,
		`2 in room.customFields.ones`:                           false,
		`room.customFields.ones.exists(x, x > 1)`:               false,
		`room.customFields.ones == room.customFields.deep.ones`: true,
		`room.description.matches("xy")`:                        false,
		`room.customFields.keys.exists(k, k == "x")`:            false,
		`room.description.contains("xy") || room.description.size() > 40000 || room.description + "y" == "x"`: false,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			got, err := compiled(t, room.PreRoomCreatePrevent, source).Holds(e)
			require.NoError(t, err)
			assert.Equal(t, holds, got)
		})
	}
}

// Each of these would run for a tenth of a second to years, or use gigabytes.
func TestCost_ExcessiveEvaluationIsCancelled(t *testing.T) {
	t.Parallel()
	e := crowded()
	chain := func(start, link, end string) string { return start + strings.Repeat(link, 17) + end }
	for name, source := range map[string]string{
		"each with each":               `room.customFields.ones.exists(x, room.customFields.ones.exists(y, x + y == 3))`,
		"search for each":              `room.customFields.ones.exists(x, 2 in room.customFields.ones)`,
		"search for a list":            `room.customFields.ones.exists(x, room.customFields.two in room.customFields.lists)`,
		"comparison for each":          `room.customFields.ones.all(x, room.customFields.deep == room.customFields.deep)`,
		"text compared for each":       `room.customFields.ones.all(x, room.description == room.customFields.same)`,
		"text ordered for each":        `room.customFields.ones.all(x, room.description <= room.customFields.same)`,
		"text searched for each":       `room.customFields.ones.exists(x, room.description.contains("xy"))`,
		"text matched for each":        `room.customFields.ones.exists(x, room.description.matches("xy"))`,
		"text counted for each":        `room.customFields.ones.exists(x, room.description.size() == 7)`,
		"text converted for each":      `room.customFields.ones.exists(x, int(room.description) == 7)`,
		"errors":                       `room.customFields.ones.exists(x, int("x" + room.id) == 7)`,
		"time zones":                   `room.customFields.ones.exists(x, event.time.getHours(room.id == "" ? "UTC" : "Europe/Berlin") == 7)`,
		"keys sorted for each":         `room.customFields.ones.exists(x, room.customFields.keys.exists(k, true) && false)`,
		"text hashed for each":         `room.customFields.ones.exists(x, room.description in room.customFields.keys)`,
		"text made for each":           `room.customFields.ones.exists(x, room.description + "y" == "x")`,
		"list that doubles":            `[dyn(room.customFields.ones)]` + strings.Repeat(`.map(x, dyn(x) + dyn(x))`, 14) + `.exists(x, x == x)`,
		"list of lists that doubles":   chain(`[dyn(1)]`, `.map(x, [x, x])`, `.exists(x, x == x)`),
		"map of maps that doubles":     chain(`[dyn(1)]`, `.map(x, {"a": x, "b": x})`, `.exists(x, x == x)`),
		"list that doubles, otherwise": chain(`[dyn(1)].exists(x, `, `[[x, x]].exists(x, `, `x == x`) + strings.Repeat(")", 18),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holds, err := compiled(t, room.PreRoomCreatePrevent, source).Holds(e)
			require.ErrorIs(t, err, expression.ErrTooCostly)
			require.EqualError(t, err, "when: PreRoomCreatePrevent: given up: it costs more than 100000 steps")
			assert.False(t, holds)
		})
	}
}

func TestCost_ExcessiveEstimateIsRefused(t *testing.T) {
	t.Parallel()
	for source, says := range map[string]string{
		`event.members.exists(m, event.members.exists(n, m.name == n.name))`:       `may cost 15007003 steps for a room with 1000 members; at most 100000 are allowed`,
		`event.members.all(m, room.customFields.rows.all(r, r.all(c, c != m.id)))`: `may cost 2`,
	} {
		_, err := expression.Compile(room.PreRoomCreatePrevent, source)
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
		assert.ErrorContains(t, err, "when: PreRoomCreatePrevent: "+says)
	}
}

// An evaluation does no work for values that it does not read. The test is not parallel, because
// allocations cannot be counted while other tests run.
func TestCost_UnreadValuesCostNothing(t *testing.T) {
	c := compiled(t, room.PreRoomCreatePrevent, `room.type == "channel" && user.id.startsWith("bot-")`)
	allocations := func(e expression.Event) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = c.Holds(e) })
	}
	assert.InDelta(t, allocations(expression.Event{}), allocations(crowded()), 5)
}

// The error for an unknown field does not copy a long name. The test is not parallel, because memory
// cannot be measured while other tests run.
func TestCost_LongFieldNameIsNotCopied(t *testing.T) {
	c, e := compiled(t, room.PreRoomCreatePrevent, `event.members.exists(m, dyn(m)[room.description] == 1)`), crowded()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := c.Holds(e)
	runtime.ReadMemStats(&after)
	require.ErrorContains(t, err, "no such field: xxx")
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20<<20))
}
