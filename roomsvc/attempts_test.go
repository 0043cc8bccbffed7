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
	"github.com/roombus/roombus/room/rules"
)

const (
	patience = 10 * time.Second
	tick     = time.Millisecond
)

func TestAttempts_RefusalDoesNotStandWhileOutcomeIsUncertain(t *testing.T) {
	t.Parallel()
	refusal := room.Errorf(room.CodeUserNotAllowed, "no")
	a := &attempts{cfg: Config{}.withDefaults()}
	assert.Equal(t, error(refusal), a.finalError(refusal, rules.View{Seq: 5}))
	a.record(errors.Join(fmt.Errorf("lost: %w", bus.ErrUncertain), errBehind), rules.View{Seq: 5})
	require.ErrorIs(t, a.finalError(refusal, rules.View{Seq: 5}), &room.Error{Code: room.CodeUnavailable},
		"the unacknowledged publish may still be stored")
	assert.Equal(t, error(refusal), a.finalError(refusal, rules.View{Seq: 6}), "once the room has moved the publish cannot be stored")
	assert.NoError(t, a.finalError(nil, rules.View{Seq: 5}))
}

func TestAttempts_NumberAndTimeAreBounded(t *testing.T) {
	t.Parallel()
	cfg := Config{MaxConflicts: 3, CommitPatience: 20 * time.Millisecond}.withDefaults()
	for name, c := range map[string]struct {
		err   error
		code  room.Code
		tries int // 0: as many as the time allows
	}{
		"conflicts": {errors.Join(bus.ErrConflict, errMoved), room.CodeConflict, 4},
		"moved":     {errMoved, room.CodeConflict, 4},
		"spurious":  {bus.ErrConflict, room.CodeUnavailable, 0},
		"stored":    {bus.ErrStored, room.CodeUnavailable, 0},
		"too large": {bus.ErrTooLarge, room.CodeTooLarge, 1},
		"refused":   {bus.ErrRefused, room.CodeUnavailable, 0},
		"gone":      {errors.Join(bus.ErrRefused, jetstream.ErrStreamNotFound), room.CodeUnavailable, 1},
		"behind":    {errors.Join(bus.ErrConflict, errBehind), room.CodeUnavailable, 0},
	} {
		a := &attempts{cfg: cfg}
		tries := 0
		for a.next(t.Context()) {
			tries++
			a.record(c.err, rules.View{})
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
	a.record(errMoved, rules.View{})
	cancel()
	require.False(t, a.next(ctx))
	require.ErrorIs(t, a.exhausted(ctx), &room.Error{Code: room.CodeDeadlineExceeded})
}

func TestAttempts_JetStreamRefusalReportedAfterDeadline(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"refused": bus.ErrRefused,
		"gone":    jetstream.ErrStreamNotFound,
		"behind":  &behindError{room: "r", has: 1, seen: 2},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		a := &attempts{cfg: Config{}.withDefaults()}
		a.record(err, rules.View{})
		if name != "gone" { // it ends at once
			a.record(context.DeadlineExceeded, rules.View{})
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
	a.record(bus.ErrUncertain, rules.View{Seq: 5})
	for _, err := range []error{a.finalError(room.NotFound("r"), rules.View{Seq: 5}), a.exhausted(t.Context())} {
		var e *room.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, room.CodeUnavailable, e.Code)
		assert.Equal(t, apps, e.Apps)
	}
}

func TestAttempts_CommandsBehindBlockedIfJetStreamUnavailable(t *testing.T) {
	t.Parallel()
	silent := errors.Join(bus.ErrUncertain, errSilent)
	for name, c := range map[string]struct {
		errs             []error
		patient, hurried bool // whether those behind a command are blocked
	}{
		"refused":                {[]error{bus.ErrRefused}, true, false},
		"silent":                 {[]error{silent}, true, true},
		"without storage":        {[]error{errors.Join(bus.ErrUncertain, &jetstream.APIError{Code: 503})}, true, false},
		"behind":                 {[]error{&behindError{room: "r"}}, true, false},
		"a lost answer":          {[]error{bus.ErrUncertain}, false, false},
		"refused, then moved":    {[]error{bus.ErrRefused, errMoved}, false, false},
		"refused, then too late": {[]error{bus.ErrRefused, context.DeadlineExceeded}, true, false},
		"too large":              {[]error{bus.ErrTooLarge}, false, false},
	} {
		for hurried, blocks := range map[bool]bool{false: c.patient, true: c.hurried} {
			ctx, cancel := context.WithCancel(t.Context())
			a := &attempts{cfg: Config{}.withDefaults(), place: &ticket{}}
			for _, err := range c.errs {
				a.record(err, rules.View{})
			}
			if hurried {
				cancel()
			}
			require.Error(t, a.exhausted(ctx))
			assert.Equal(t, blocks, a.place.storeErr != nil, "%s, hurried: %t", name, hurried)
			cancel()
		}
	}
}
