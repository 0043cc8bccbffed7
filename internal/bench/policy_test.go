package bench

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
)

// guarded returns hooks with so many policies in force, and the draft of a join.
func guarded(tb testing.TB, count int) (*hooks.Hooks, rules.Command, rules.Draft) {
	tb.Helper()
	list, err := expression.NewDocument(banList())
	require.NoError(tb, err)
	h := hooks.New(hooks.Config{Logger: slog.New(slog.DiscardHandler)})
	tb.Cleanup(h.Close)
	var registered []*room.Registration
	for _, p := range policies(count) {
		require.NoError(tb, p.Validate())
		registered = append(registered, &room.Registration{Manifest: p})
	}
	h.Set(registered, expression.Params{bans: list})

	user := room.User{ID: name("u", 4711), Username: "name-of-" + name("u", 4711)}
	c := rules.Command{
		ID: "01890a5d-ac96-774b-bcce-b302099a8057", Time: time.Date(2026, 11, 28, 22, 30, 0, 0, time.UTC),
		Bounds: rules.Bounds{MaxBytes: 900 << 10, MaxWhole: 1000 << 10}, Request: room.JoinRequest{RoomID: "bench-1000-0000007", User: user},
	}
	d, err := rules.Decide(rules.View{Exists: true, Seq: 41, Room: room.Room{
		ID: "bench-1000-0000007", DisplayName: "Room 7", SlugifiedName: "room-7", Type: room.Channel, MemberCount: 700, Version: 1200,
		Creator: room.User{ID: "owner", Username: "name-of-owner"}, DisplaySystemMessages: true, CreatedAt: c.Time.Add(-time.Hour),
	}}, c)
	require.NoError(tb, err)
	return h, c, *d
}

func TestPolicies_AllowCommands(t *testing.T) {
	t.Parallel()
	assert.LessOrEqual(t, len(banList()), 960<<10, "fits into a message of 1 MiB")
	h, c, d := guarded(t, MaxPolicies)
	asked := h.Gather(t.Context(), c, &d, &h.Rounds(room.EventUserJoin)[0])
	require.Len(t, asked.Answers, MaxPolicies)
	seen := map[string]bool{}
	for _, a := range asked.Answers {
		assert.Equal(t, room.Allowed, a.Outcome, "%s: %s", a.App, a.Reason)
		seen[a.App] = true
	}
	assert.Len(t, seen, MaxPolicies, "each has an id of its own")
}

// Five policies decide about a join.
func BenchmarkDecide(b *testing.B) {
	h, c, d := guarded(b, 5)
	round := &h.Rounds(room.EventUserJoin)[0]
	b.ReportAllocs()
	for b.Loop() {
		asked := h.Gather(b.Context(), c, &d, round)
		_, answers, err := rules.Combine(d, round.Interface, asked.Answers)
		if err != nil {
			b.Fatal(err)
		}
		asked.Answers = answers
		asked.Record()
		h.CountFailedOpen(asked.FailedOpen())
	}
}
