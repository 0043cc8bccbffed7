package room_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
)

// What apps say never makes an event larger than its message may be, and what is cut is counted.
func TestSaid_FitsIntoTheEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := room.Draft{
			Event: room.EventUserJoin, Bounds: room.Bounds{MaxBytes: 1000, MaxWhole: rapid.IntRange(2000, 60_000).Draw(t, "whole")},
			Data: room.Data{Room: room.Room{ID: "r", SlugifiedName: "r", Type: room.Channel}, JoiningUser: &alice},
		}
		text := strings.Repeat(rapid.SampledFrom([]string{"a", "\u0001", "é"}).Draw(t, "text"), rapid.IntRange(0, 200).Draw(t, "length"))
		apps, phases, warnings := rapid.IntRange(0, 100).Draw(t, "apps"), rapid.IntRange(1, 3).Draw(t, "phases"), rapid.IntRange(0, 8).Draw(t, "warnings")
		for range phases {
			answers := make([]room.Answer, apps)
			for n := range answers {
				answers[n] = room.Answer{App: "app-" + strconv.Itoa(n), Outcome: room.Allowed, Reason: text}
				for range warnings {
					answers[n].Verdict.Warnings = append(answers[n].Verdict.Warnings, text)
				}
			}
			var err error
			d, err = room.Combine(d, room.PreRoomUserJoined, answers)
			require.NoError(t, err)
		}
		body, err := json.Marshal(d.Final())
		require.NoError(t, err)
		require.LessOrEqual(t, len(body), d.MaxWhole)
		reasons := 0
		for _, a := range d.Data.Apps {
			if a.Reason != "" {
				reasons++
			}
		}
		cut := d.Data.Cut
		require.Equal(t, apps*phases, len(d.Data.Apps)+cut.Outcomes)
		require.Equal(t, warnings*apps*phases, len(d.Data.Warnings)+cut.Warnings)
		if text != "" {
			require.Equal(t, apps*phases, reasons+cut.Reasons)
		}
	})
}

// A denial is told with its reason however much the others say.
func TestSaid_DenialKeepsItsReason(t *testing.T) {
	t.Parallel()
	d := creation(t)
	d.Bounds = room.Bounds{MaxBytes: 1000, MaxWhole: 4000}
	answers := make([]room.Answer, 100)
	for n := range answers {
		answers[n] = room.Answer{App: "app-" + strconv.Itoa(n), Outcome: room.Failed, Reason: strings.Repeat("x", 500)}
	}
	answers[99] = room.Answer{App: "last", Outcome: room.Denied, Reason: "banned"}
	_, err := room.Combine(d, room.PreRoomCreatePrevent, answers)
	var e *room.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "last", e.App)
	assert.Equal(t, "banned", e.Reason)
	assert.Positive(t, e.Cut.Outcomes)
	body, err := json.Marshal(e)
	require.NoError(t, err)
	assert.Less(t, len(body), 5000)
}
