package hooks_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/hooks"
)

// house is a policy for joins. Its order is that of its id.
func house(rules ...room.Rule) *room.Registration {
	return &room.Registration{Manifest: room.Manifest{
		ID: "house", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined},
		Rules: map[room.Interface][]room.Rule{room.PreRoomUserJoined: rules}, Params: []string{"bans"},
	}}
}

func documents(t *testing.T, bans string) expression.Params {
	t.Helper()
	d, err := expression.NewDocument([]byte(bans))
	require.NoError(t, err)
	return expression.Params{"bans": d}
}

// A policy has an answer like an app with workers: the number of the rule, the reason, a figure.
func TestPolicy_Answers(t *testing.T) {
	t.Parallel()
	h, _ := start(t)
	r := house(room.Rule{Deny: `user.id == "eve"`, Reason: "no"}, room.Rule{Deny: `user.id in params.bans`, ReasonExpression: `"banned: " + user.id`})
	h.Set([]*room.Registration{r}, documents(t, `["bob"]`))
	require.Equal(t, []room.Outcome{room.Allowed}, outcomes(join(t, h, "ada")))
	denied := join(t, h, "bob")
	require.Equal(t, []room.Outcome{room.Denied}, outcomes(denied))
	assert.Equal(t, 2, denied.Answers[0].Rule)
	assert.Equal(t, "banned: bob", denied.Answers[0].Reason)
	assert.Positive(t, denied.Answers[0].Took)

	h.Set([]*room.Registration{r}, nil)
	failed := join(t, h, "ada")
	require.Equal(t, []room.Outcome{room.Failed}, outcomes(failed))
	assert.Equal(t, 2, failed.Answers[0].Rule)
	assert.Equal(t, `rule 2: deny: there is no document "bans"; put one: roombus param put bans FILE`, failed.Answers[0].Reason)
	assert.Len(t, failed.FailedOpen(), 1)

	figures := h.Reports("house")[0].Figures
	assert.EqualValues(t, 3, figures.Calls)
	assert.EqualValues(t, 1, figures.Allowed)
	assert.EqualValues(t, 1, figures.Denied)
	assert.EqualValues(t, 1, figures.Failed)
	assert.Empty(t, figures.Breaker, "a policy has no breaker")
	assert.NotEmpty(t, h.Reports("house")[0].Times)
}

// A policy has a condition, and can be a shadow or disabled, like an app with workers.
func TestPolicy_ConditionShadowDisabled(t *testing.T) {
	t.Parallel()
	h, _ := start(t)
	conditional, shadow, off := house(room.Rule{Deny: "true"}), house(room.Rule{Deny: "true"}), house(room.Rule{Deny: "true"})
	conditional.ID, conditional.When = "conditional", map[room.Interface]string{room.PreRoomUserJoined: `user.id == "eve"`}
	shadow.ID, shadow.Operator.Shadow = "shadow", new(true)
	off.ID, off.Operator.Enabled = "off", new(false)
	h.Set([]*room.Registration{conditional, shadow, off}, nil)
	answers := join(t, h, "ada").Answers
	require.Len(t, answers, 3)
	assert.Equal(t, room.Skipped, answers[0].Outcome)
	assert.Equal(t, room.Unavailable, answers[1].Outcome)
	assert.Equal(t, room.Denied, answers[2].Outcome)
	assert.True(t, answers[2].Shadow)
}

// No worker is asked about an action that a policy has denied, unless the worker comes first: then its
// reason would count.
func TestPolicy_SparesWorkers(t *testing.T) {
	t.Parallel()
	h, workers := start(t)
	var asked atomic.Int64
	for _, id := range []string{"a-first", "z-last"} {
		works(t, workers, "room.pre.userjoin."+id, func(msg *nats.Msg) {
			asked.Add(1)
			_ = msg.Respond([]byte(`{"verdict":"allow"}`))
		})
	}
	policy := house(room.Rule{Deny: `user.id == "eve"`})
	h.Set([]*room.Registration{policy, app("z-last", room.PreRoomUserJoined)}, nil)
	result := join(t, h, "eve")
	assert.Equal(t, []room.Outcome{room.Denied, room.Skipped}, outcomes(result))
	assert.Equal(t, "not asked: a policy denied it", result.Answers[1].Reason)
	assert.Zero(t, asked.Load())
	assert.Zero(t, h.Reports("z-last")[0].Calls)
	assert.Equal(t, []room.Outcome{room.Allowed, room.Allowed}, outcomes(join(t, h, "ada")))
	assert.EqualValues(t, 1, asked.Load())

	h.Set([]*room.Registration{policy, app("a-first", room.PreRoomUserJoined)}, nil)
	assert.Equal(t, []room.Outcome{room.Allowed, room.Denied}, outcomes(join(t, h, "eve")))
	assert.EqualValues(t, 2, asked.Load())
}

// Nothing is prepared for a wait if only policies are asked.
func TestAskWorkers_NotPolicies(t *testing.T) {
	t.Parallel()
	h := hooks.New(hooks.Config{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(h.Close)
	assert.False(t, hooks.AskWorkers(h.Rounds(room.EventUserJoin)))
	policy := house(room.Rule{Deny: "true"})
	h.Set([]*room.Registration{policy}, nil)
	assert.False(t, hooks.AskWorkers(h.Rounds(room.EventUserJoin)))
	h.Set([]*room.Registration{policy, app("guard", room.PreRoomUserJoined)}, nil)
	assert.True(t, hooks.AskWorkers(h.Rounds(room.EventUserJoin)))
	assert.False(t, hooks.AskWorkers(h.Rounds(room.EventUserLeave)))
}

// Rules that another version of the service has accepted, and this one cannot compile, fail.
func TestPolicy_UnusableRulesFail(t *testing.T) {
	t.Parallel()
	h, _ := start(t)
	h.Set([]*room.Registration{house(room.Rule{Deny: "user.nothing"})}, nil)
	result := join(t, h, "ada")
	require.Equal(t, []room.Outcome{room.Failed}, outcomes(result))
	assert.Contains(t, result.Answers[0].Reason, "undefined field 'nothing'")

	h.Set([]*room.Registration{house(room.Rule{})}, nil)
	result = join(t, h, "ada")
	require.Equal(t, []room.Outcome{room.Failed}, outcomes(result))
	assert.Contains(t, result.Answers[0].Reason, "it needs deny or warn")
}
