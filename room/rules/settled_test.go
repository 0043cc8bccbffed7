package rules_test

import (
	"errors"
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
			_, _, err := rules.Combine(rules.Draft{Event: room.EventCreate}, room.PreRoomCreatePrevent, answers)
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
