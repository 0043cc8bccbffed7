package rules_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// Outcomes and warnings never make an event exceed its bound, and cuts are counted.
func TestFit_OutcomesFitIntoEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := rules.Draft{
			Event: room.EventUserJoin, Bounds: rules.Bounds{MaxBytes: 1000, MaxWhole: rapid.IntRange(2000, 60_000).Draw(t, "whole")},
			Data: room.Data{Room: room.Room{ID: "r", SlugifiedName: "r", Type: room.Channel}, JoiningUser: &alice},
		}
		text := strings.Repeat(rapid.SampledFrom([]string{"a", "\u0001", "é"}).Draw(t, "text"), rapid.IntRange(0, 200).Draw(t, "length"))
		apps, phases, warnings := rapid.IntRange(0, 100).Draw(t, "apps"), rapid.IntRange(1, 3).Draw(t, "phases"), rapid.IntRange(0, 8).Draw(t, "warnings")
		for range phases {
			answers := make([]rules.Answer, apps)
			for n := range answers {
				answers[n] = rules.Answer{App: "app-" + strconv.Itoa(n), Outcome: room.Allowed, Reason: text}
				for range warnings {
					answers[n].Verdict.Warnings = append(answers[n].Verdict.Warnings, text)
				}
			}
			var err error
			d, _, err = rules.Combine(d, room.PreRoomUserJoined, answers)
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

// A denial keeps its reason for any size of the other outcomes.
func TestFit_DenialKeepsReason(t *testing.T) {
	t.Parallel()
	d := creation(t)
	d.Bounds = rules.Bounds{MaxBytes: 1000, MaxWhole: 4000}
	answers := make([]rules.Answer, 100)
	for n := range answers {
		answers[n] = rules.Answer{App: "app-" + strconv.Itoa(n), Outcome: room.Failed, Reason: strings.Repeat("x", 500)}
	}
	answers[99] = rules.Answer{App: "last", Outcome: room.Denied, Reason: "banned"}
	_, _, err := rules.Combine(d, room.PreRoomCreatePrevent, answers)
	var e *room.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "last", e.App)
	assert.Equal(t, "banned", e.Reason)
	assert.Positive(t, e.Cut.Outcomes)
	body, err := json.Marshal(e)
	require.NoError(t, err)
	assert.Less(t, len(body), 5000)
}

// In the event of a deletion, former members and outcomes share the space.
func TestFit_LeavesSpaceForFormerMembers(t *testing.T) {
	t.Parallel()
	members := make([]room.User, 1300)
	for n := range members {
		members[n] = room.User{ID: fmt.Sprintf("u%04d", n), Name: strings.Repeat("n", 900)}
	}
	var s rules.State
	require.NoError(t, rules.Evolve(&s, room.Event{Type: room.EventCreate, Room: "r", Seq: 1, Version: 1, Data: room.Data{Room: room.Room{ID: "r"}, Members: members}}))
	c := rules.Command{Request: room.DeleteRequest{RoomID: "r"}, Bounds: rules.Bounds{MaxBytes: 1<<20 - 64<<10, MaxWhole: 1<<20 - 8<<10}}
	d, err := rules.Decide(s.View(c.Request), c)
	require.NoError(t, err)
	answers := make([]rules.Answer, 4)
	for n := range answers {
		answers[n] = rules.Answer{App: strconv.Itoa(n), Outcome: room.Allowed}
		for range room.MaxWarnings {
			answers[n].Verdict.Warnings = append(answers[n].Verdict.Warnings, strings.Repeat("<", room.MaxReasonBytes))
		}
	}
	next, _, err := rules.Combine(*d, room.PreRoomDeletePrevent, answers)
	require.NoError(t, err)
	body, err := json.Marshal(next.Final())
	require.NoError(t, err)
	assert.LessOrEqual(t, len(body), c.MaxWhole)
	assert.Positive(t, next.Data.Cut.Warnings)
}
