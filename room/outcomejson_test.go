package room_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
)

// The bytes are those of json.Marshal, and so are its errors.
func TestJSON_SameAsMarshal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching("[a-z-]*"), rapid.SampledFrom([]string{`"`, "<b>", "ä", "\xff", "\u2028"}))
		ms := rapid.OneOf(rapid.Float64Range(0, 100), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1e-7, 1e21, -3, math.NaN()}))
		rarely := func(label string) bool { return rapid.IntRange(0, 5).Draw(t, label) == 0 }
		outcomes := make([]room.AppOutcome, rapid.IntRange(0, 3).Draw(t, "outcomes"))
		for n := range outcomes {
			o := room.AppOutcome{App: text.Draw(t, "app"), Interface: room.PreRoomUserJoined, Outcome: room.Allowed, Ms: ms.Draw(t, "ms")}
			if rarely("reason") {
				o.Reason = text.Draw(t, "text")
			}
			if rarely("rule") {
				o.Rule = 3
			}
			if rarely("changed") {
				o.Changed = make([]string, rapid.IntRange(0, 2).Draw(t, "length"))
			}
			o.Shadow, o.Reinvoked = rarely("shadow"), rarely("reinvoked")
			outcomes[n] = o
		}
		d := room.Data{Room: full, JoiningUser: &bob, Apps: outcomes}
		r := room.Result{Changed: true, Room: bare, Event: &ref, Apps: outcomes}
		if rarely("cut") {
			d.Cut, r.Cut = cut, cut
		}
		if rarely("warnings") {
			d.Warnings, r.Warnings = []string{"w"}, []string{"w"}
		}
		for _, c := range []struct {
			encode func() ([]byte, error)
			of     any
		}{{d.JSON, d}, {r.JSON, r}} {
			want, fails := json.Marshal(c.of)
			got, err := c.encode()
			require.Equal(t, fails == nil, err == nil)
			if fails == nil {
				assert.Equal(t, string(want), string(got))
			}
		}
	})
}
