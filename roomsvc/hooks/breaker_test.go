package hooks

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// Which errors open a breaker that opens at five failures.
func TestBreaker_OpensForErrorsOfSeveralRoomsAndUsers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from  func(n int) origin
		opens int // after so many; 0: never
	}{
		"one room and user":              {func(int) origin { return origin{"a", "x"} }, 0},
		"one user":                       {func(n int) origin { return origin{strconv.Itoa(n), "x"} }, 0},
		"one room":                       {func(n int) origin { return origin{"a", strconv.Itoa(n)} }, 0},
		"one user, once another one":     {func(n int) origin { return origin{strconv.Itoa(n % 2), strconv.Itoa(1 / (n + 1))} }, 0},
		"two rooms and users by turns":   {func(n int) origin { return origin{strconv.Itoa(n % 2), strconv.Itoa(n % 2)} }, 5},
		"each of another room and user":  {func(n int) origin { return origin{strconv.Itoa(n), strconv.Itoa(n)} }, 5},
		"one often, then two others":     {func(n int) origin { return origin{strconv.Itoa(max(0, n-9)), strconv.Itoa(max(0, n-9))} }, 12},
		"many users in one room and one": {func(n int) origin { return origin{strconv.Itoa(1 / (n + 1)), strconv.Itoa(n)} }, 0},
	} {
		breaker := newBreaker("app", room.PreRoomUserJoined, Config{BreakerPause: time.Hour, BreakerFailures: 5, Logger: slog.New(slog.DiscardHandler)})
		opened := 0
		for n := range 50 {
			done, err := breaker.allow(c.from(n))
			if err != nil {
				break
			}
			done(rules.Answer{Outcome: room.Failed})
			if breaker.state() == room.BreakerOpen {
				opened = n + 1
			}
		}
		assert.Equal(t, c.opens, opened, name)
	}
}

// Errors of one user and room do not add to timeouts, until another user in another room has one.
func TestBreaker_ErrorsOfOneUserDoNotAddToTimeouts(t *testing.T) {
	t.Parallel()
	breaker := newBreaker("app", room.PreRoomUserJoined, Config{BreakerPause: time.Hour, BreakerFailures: 5, Logger: slog.New(slog.DiscardHandler)})
	fail := func(from origin, outcome room.Outcome) {
		done, err := breaker.allow(from)
		require.NoError(t, err)
		done(rules.Answer{Outcome: outcome})
	}
	for range 3 {
		fail(origin{"a", "x"}, room.TimedOut)
	}
	for range 9 {
		fail(origin{"a", "x"}, room.Failed)
	}
	assert.Equal(t, room.BreakerClosed, breaker.state())
	fail(origin{"b", "y"}, room.Failed)
	assert.Equal(t, room.BreakerOpen, breaker.state())
}

// Rounds that need less time than their share leave the rest to the others.
func TestLevel_FillsTheBudget(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, c := range []struct {
		timeouts []time.Duration
		most     time.Duration
		level    time.Duration
	}{
		{[]time.Duration{s}, 3 * s, 1<<63 - 1},
		{[]time.Duration{s, s, s}, 3 * s, 1<<63 - 1},
		{[]time.Duration{60 * s}, 3 * s, 3 * s},
		{[]time.Duration{s, 60 * s}, 3 * s, 2 * s},
		{[]time.Duration{60 * s, s / 2, s / 2, 60 * s}, 3 * s, s},
		{[]time.Duration{2 * s, 2 * s, 2 * s}, 3 * s, s},
		{nil, 3 * s, 1<<63 - 1},
	} {
		var rounds []Round
		for _, timeout := range c.timeouts {
			rounds = append(rounds, Round{hooks: []*hook{{manifest: room.Manifest{TimeoutMs: new(int(timeout.Milliseconds()))}}}})
		}
		assert.Equal(t, c.level, level(rounds, c.most), c.timeouts)
	}
}
