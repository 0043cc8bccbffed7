package expression_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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
		"time-zones": `room.customFields.ones.exists(x, event.time.getHours(room.id == "" ? "UTC" : "Europe/Berlin") == 7)`,
		"keys":       `room.customFields.ones.exists(x, room.customFields.keys.exists(k, true) && false)`,
	} {
		b.Run(name, func(b *testing.B) {
			c := compiled(b, room.PreRoomCreatePrevent, source)
			began := processorTime(b)
			for b.Loop() {
				_, err := c.Holds(e)
				require.ErrorIs(b, err, expression.ErrTooCostly)
			}
			b.ReportMetric(float64((processorTime(b)-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkLongestRule measures expressions that read the largest documents: each is accepted when it is
// compiled, and takes the longest of its kind. Some are given up.
func BenchmarkLongestRule(b *testing.B) {
	values := strings.Repeat(`0,`, expression.MaxDocumentValues-3) + `0`
	objects := strings.Repeat(`{},`, expression.MaxDocumentValues-3) + `{}`
	ids := make([]string, 100_000)
	for n := range ids {
		ids[n] = fmt.Sprintf(`"%05x"`, n)
	}
	params := expression.Params{
		"a": document(b, `[`+values+`]`), "b": document(b, `[`+values+`]`),
		"objects": document(b, `[`+objects+`]`), "others": document(b, `[`+objects+`]`),
		"text": document(b, `"`+strings.Repeat("x", room.MaxParamBytes-2)+`"`), "other": document(b, `"`+strings.Repeat("x", room.MaxParamBytes-3)+`y"`),
		"bans": document(b, `[`+strings.Join(ids, ",")+`]`),
		"map":  document(b, `{`+strings.Join(ids, ":0,")+`:0}`), "map2": document(b, `{`+strings.Join(ids, ":0,")+`:0}`),
	}
	for name, source := range map[string]string{
		"banned":         `user.id in params.bans`,
		"numbers-equal":  `params.a == params.b`,
		"objects-equal":  `params.objects == params.others`,
		"maps-equal":     `params.map == params.map2`,
		"search-objects": `{"a": 1} in params.objects`,
		"search-list":    `[1] in params.objects`,
		"search-sum":     `1 in params.a + [2]`,
		"texts-equal":    `params.text == params.other`,
		"text-contains":  `params.text.contains("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy")`,
		"text-in-text":   `params.text.contains(params.other)`,
		"text-joined":    `params.text + params.other == params.text`,
		"text-to-int":    `int(params.text) == 1`,
		"text-to-bytes":  `bytes(params.text) == b""`,
		"text-size":      `size(params.text) == 1`,
		"each":           `params.objects.exists(x, x == 1)`,
		"each-of-map":    `params.map.exists(x, params.map[x] == 1)`,
		"each-made":      `params.a.map(x, [x]) == []`,
		"pattern":        `params.text.matches("((x+x+)+y|z)")`,
	} {
		b.Run(name, func(b *testing.B) {
			l := expression.ForRules(room.PreRoomUserJoined, slices.Collect(maps.Keys(params)))
			x, err := l.Compile("rule 1: deny", source, expression.Bool)
			require.NoError(b, err)
			e := event(b, join)
			began := processorTime(b)
			for b.Loop() {
				evaluation := l.Evaluation(e, params)
				_, _ = x.Bool(evaluation)
				evaluation.Close()
			}
			b.ReportMetric(float64((processorTime(b)-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// processorTime returns the processor time of the process: on a shared machine the time of day says little.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
