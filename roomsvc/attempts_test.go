package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/lanes"
)

const (
	patience = 10 * time.Second
	tick     = time.Millisecond
)

// late is the outcome of a try that ended with the time of the command.
var late = outcome{fate: unstored, err: context.DeadlineExceeded}

// after is the outcome of a try whose publish ended with the error, and whose confirmation found the
// room so.
func after(found fate, publish error) outcome {
	return outcome{fate: found, seq: 5}.afterPublish(publish)
}

func TestAttempts_RefusalDoesNotStandWhileOutcomeIsUncertain(t *testing.T) {
	t.Parallel()
	refusal := room.Errorf(room.CodeUserNotAllowed, "no")
	a := &attempts{cfg: Config{}.withDefaults()}
	assert.Equal(t, error(refusal), a.finalError(refusal, 5))
	a.record(after(behind, fmt.Errorf("lost: %w", bus.ErrUncertain)))
	require.ErrorIs(t, a.finalError(refusal, 5), &room.Error{Code: room.CodeUnavailable},
		"the unacknowledged publish may still be stored")
	assert.Equal(t, error(refusal), a.finalError(refusal, 6), "once the room has moved the publish cannot be stored")
	assert.NoError(t, a.finalError(nil, 5))
}

func TestAttempts_NumberAndTimeAreBounded(t *testing.T) {
	t.Parallel()
	cfg := Config{MaxConflicts: 3, CommitPatience: 20 * time.Millisecond}.withDefaults()
	for name, c := range map[string]struct {
		try   outcome
		code  room.Code
		tries int // 0: as many as the time allows
	}{
		"conflicts":        {after(moved, bus.ErrConflict), room.CodeConflict, 4},
		"moved":            {outcome{fate: moved}, room.CodeConflict, 4},
		"spurious":         {after(unchanged, bus.ErrConflict), room.CodeUnavailable, 0},
		"stored":           {after(unchanged, bus.ErrStored), room.CodeUnavailable, 0},
		"too large":        {after(unchanged, bus.ErrTooLarge), room.CodeTooLarge, 1},
		"too large, moved": {after(moved, bus.ErrTooLarge), room.CodeTooLarge, 1},
		"refused":          {after(unchanged, bus.ErrRefused), room.CodeUnavailable, 0},
		"gone":             {after(gone, bus.ErrRefused), room.CodeUnavailable, 1},
		"gone since":       {after(unchanged, jetstream.ErrStreamNotFound), room.CodeUnavailable, 1},
		"behind":           {after(behind, bus.ErrConflict), room.CodeUnavailable, 0},
	} {
		a := &attempts{cfg: cfg}
		tries := 0
		for a.next(t.Context()) {
			tries++
			a.record(c.try)
		}
		require.ErrorIs(t, a.exhausted(t.Context()), &room.Error{Code: c.code}, name)
		if c.tries > 0 {
			assert.Equal(t, c.tries, tries, name)
		} else {
			assert.Greater(t, tries, 1, name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	a := &attempts{cfg: cfg}
	require.True(t, a.next(ctx))
	a.record(outcome{fate: moved})
	cancel()
	require.False(t, a.next(ctx))
	require.ErrorIs(t, a.exhausted(ctx), &room.Error{Code: room.CodeDeadlineExceeded})
}

func TestAttempts_JetStreamRefusalReportedAfterDeadline(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]outcome{
		"refused": after(unchanged, bus.ErrRefused),
		"gone":    after(gone, bus.ErrRefused),
		"behind":  {fate: behind},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		a := &attempts{cfg: Config{}.withDefaults()}
		a.record(o)
		if name != "gone" { // it ends at once
			a.record(late)
		}
		cancel()
		require.ErrorIs(t, a.exhausted(ctx), &room.Error{Code: room.CodeUnavailable}, name)
	}
}

// The error of a failed command has the answers of the apps.
func TestAttempts_FinalErrorNamesAppAnswers(t *testing.T) {
	t.Parallel()
	apps := []room.AppOutcome{{App: "a", Outcome: room.Allowed}}
	a := &attempts{cfg: Config{}.withDefaults(), data: room.Data{Apps: apps}}
	a.record(after(unchanged, bus.ErrUncertain))
	for _, err := range []error{a.finalError(room.NotFound("r"), 5), a.exhausted(t.Context())} {
		var e *room.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, room.CodeUnavailable, e.Code)
		assert.Equal(t, apps, e.Apps)
	}
}

func TestAttempts_CommandsBehindBlockedIfJetStreamUnavailable(t *testing.T) {
	t.Parallel()
	refused := after(unchanged, bus.ErrRefused)
	for name, c := range map[string]struct {
		tries            []outcome
		patient, hurried bool // whether those behind a command are blocked
	}{
		"refused":                {[]outcome{refused}, true, false},
		"silent":                 {[]outcome{after(silent, bus.ErrUncertain)}, true, true},
		"without storage":        {[]outcome{after(unchanged, errors.Join(bus.ErrUncertain, &jetstream.APIError{Code: 503}))}, true, false},
		"behind":                 {[]outcome{after(behind, bus.ErrConflict)}, true, false},
		"a lost answer":          {[]outcome{after(unchanged, bus.ErrUncertain)}, false, false},
		"silent to a question":   {[]outcome{{fate: silent}}, false, false},
		"refused, then moved":    {[]outcome{refused, {fate: moved}}, false, false},
		"refused, then too late": {[]outcome{refused, late}, true, false},
		"too large":              {[]outcome{after(unchanged, bus.ErrTooLarge)}, false, false},
	} {
		for hurried, blocks := range map[bool]bool{false: c.patient, true: c.hurried} {
			ctx, cancel := context.WithCancel(t.Context())
			all := lanes.New(2)
			front, err := all.Enter(lanes.Command{Room: "r", Changes: true})
			require.NoError(t, err)
			behind, err := all.Enter(lanes.Command{Room: "r", Changes: true})
			require.NoError(t, err)
			a := &attempts{cfg: Config{}.withDefaults(), place: front}
			for _, o := range c.tries {
				a.record(o)
			}
			if hurried {
				cancel()
			}
			require.Error(t, a.exhausted(ctx))
			front.Leave()
			assert.Equal(t, blocks, behind.Wait(t.Context(), nil) != nil, "%s, hurried: %t", name, hurried)
			cancel()
		}
	}
}
