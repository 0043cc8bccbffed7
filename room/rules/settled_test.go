package rules_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// A settled result is final: for any outstanding answers the decision is the same, by the same app.
func TestSettled_OutstandingAnswersChangeNothing(t *testing.T) {
	t.Parallel()
	outcome := rapid.SampledFrom([]room.Outcome{room.Allowed, room.Denied, room.Skipped, room.Failed, room.TimedOut, room.Unavailable})
	rapid.Check(t, func(t *rapid.T) {
		partial := make([]rules.Answer, rapid.IntRange(0, 5).Draw(t, "apps"))
		complete := func(label string) []rules.Answer {
			all := make([]rules.Answer, len(partial))
			for n, a := range partial {
				if a.Outcome == "" {
					a.Outcome = outcome.Draw(t, label)
				}
				all[n] = a
			}
			return all
		}
		for n := range partial {
			partial[n] = rules.Answer{App: string(rune('a' + n)), Essential: rapid.Bool().Draw(t, "essential"), Shadow: rapid.Bool().Draw(t, "shadow")}
			if rapid.Bool().Draw(t, "answered") {
				partial[n].Outcome = outcome.Draw(t, "outcome")
			}
		}
		end := func(answers []rules.Answer) (room.Code, string) {
			_, err := rules.Combine(rules.Draft{Event: room.EventCreate}, room.PreRoomCreatePrevent, answers)
			var e *room.Error
			if !errors.As(err, &e) {
				return "", ""
			}
			return e.Code, e.App
		}
		one, app := end(complete("one"))
		other, otherApp := end(complete("other"))
		if rules.Settled(partial) {
			require.Equal(t, one, other)
			require.Equal(t, app, otherApp)
		}
		if all := complete("all"); !rules.Settled(all) {
			t.Fatalf("complete answers are not settled: %+v", all)
		}
	})
}

func TestSettled_MissingAnswers(t *testing.T) {
	t.Parallel()
	denied, allowed := rules.Answer{Outcome: room.Denied}, rules.Answer{Outcome: room.Allowed}
	var open rules.Answer
	for name, c := range map[string]struct {
		answers []rules.Answer
		settled bool
	}{
		"nobody":                           {nil, true},
		"the first denies":                 {[]rules.Answer{denied, open}, true},
		"one behind an open one denies":    {[]rules.Answer{open, denied}, false},
		"one behind an allowing one":       {[]rules.Answer{allowed, denied, open}, true},
		"an open one at the end":           {[]rules.Answer{allowed, open}, false},
		"only a shadow is open":            {[]rules.Answer{{Shadow: true}, allowed}, true},
		"a shadow denies":                  {[]rules.Answer{{Shadow: true, Outcome: room.Denied}, open}, false},
		"an essential one is absent first": {[]rules.Answer{{Essential: true, Outcome: room.Unavailable}, open}, false},
	} {
		assert.Equal(t, c.settled, rules.Settled(c.answers), name)
	}
}

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
		d, err := rules.Combine(creation(t), c.phase, []rules.Answer{c.answer})
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
	d, err := rules.Combine(creation(t), room.PreRoomCreateExtend, []rules.Answer{extends("a", room.Extension{CustomFields: fields})})
	require.NoError(t, err)
	require.Len(t, d.Data.Apps[0].Changed, room.MaxChanged)
	for _, name := range d.Data.Apps[0].Changed {
		assert.LessOrEqual(t, len(name), 64+len("…"))
	}
}

// If a verdict cannot be combined, the answer has the app's failure too, because the service counts the
// outcomes of answers.
func TestCombine_FailureIsSetInAnswer(t *testing.T) {
	t.Parallel()
	answers := []rules.Answer{extends("a", room.Extension{CustomFields: map[string]any{"own": 1}})}
	_, err := rules.Combine(creation(t), room.PreRoomCreateExtend, answers)
	require.NoError(t, err)
	assert.Equal(t, room.Failed, answers[0].Outcome)
}
