package roomclient_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// sentTimes are the times in the headers of an attempt.
type sentTimes struct {
	given    time.Duration
	deadline time.Time
}

// silentFor subscribes a service that does not answer the first n requests.
func silentFor(t *testing.T, nc *nats.Conn, n int, then func(*nats.Msg)) <-chan sentTimes {
	t.Helper()
	sent := make(chan sentTimes, 100)
	_, err := nc.Subscribe("room.svc.join", func(msg *nats.Msg) {
		ms, err := strconv.Atoi(msg.Header.Get("Room-Timeout-Ms"))
		assert.NoError(t, err)
		deadline, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Room-Deadline"))
		assert.NoError(t, err)
		assert.Equal(t, time.UTC, deadline.Location())
		sent <- sentTimes{time.Duration(ms) * time.Millisecond, deadline}
		if n--; n < 0 {
			then(msg)
		}
	})
	require.NoError(t, err)
	return sent
}

func joined(msg *nats.Msg) { _ = msg.Respond([]byte(`{"changed":true}`)) }

// The service's default budget is 4 s.
func TestAttempt_FirstHasWholeBudget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg      roomclient.Config
		deadline time.Duration
		most     time.Duration
	}{
		"default":                     {most: 4 * time.Second},
		"deadline of five seconds":    {deadline: 5 * time.Second, most: 4 * time.Second},
		"deadline of two seconds":     {deadline: 2 * time.Second, most: 1530 * time.Millisecond},
		"timeout of two seconds":      {cfg: roomclient.Config{Timeout: 2 * time.Second}, most: 1530 * time.Millisecond},
		"longer attempts":             {cfg: roomclient.Config{Timeout: time.Minute, AttemptTimeout: 10 * time.Second}, most: 9750 * time.Millisecond},
		"shorter attempts":            {cfg: roomclient.Config{AttemptTimeout: time.Second}, most: 900 * time.Millisecond},
		"too little for a second one": {deadline: 150 * time.Millisecond, most: 135 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, nc := connect(t)
			sent := silentFor(t, nc, 0, joined)
			ctx := t.Context()
			if c.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
				defer cancel()
			}
			before := time.Now()
			_, err := roomclient.New(nc, c.cfg).Join(ctx, room.JoinRequest{RoomID: "r"})
			require.NoError(t, err)
			first := <-sent
			assert.LessOrEqual(t, first.given, c.most)
			assert.Greater(t, first.given, c.most*8/10)
			assert.WithinRange(t, first.deadline, before.Add(first.given), time.Now().Add(first.given*10/9+time.Second))
		})
	}
}

func TestAttempt_ShorterAfterSilenceWithoutOverlap(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	sent := silentFor(t, nc, 3, joined)
	_, err := roomclient.New(nc, roomclient.Config{Timeout: 12 * time.Second}).Join(t.Context(), room.JoinRequest{RoomID: "r"})
	require.NoError(t, err)
	last := <-sent
	for range 2 {
		next := <-sent
		assert.Less(t, next.given, last.given)
		assert.Greater(t, next.deadline.Add(-next.given), last.deadline, "the next attempt begins after the deadline of the last one")
		last = next
	}
}

// The error of the last reply is kept if later attempts get no reply.
func TestAttempt_SilenceKeepsEarlierError(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	answered := false
	sent := silentFor(t, nc, 0, func(msg *nats.Msg) {
		if !answered {
			answered = true
			assert.NoError(t, msg.RespondMsg(refusal("unavailable", "503", `{"code":"unavailable","message":"the disk is full"}`)))
		}
	})
	client := roomclient.New(nc, roomclient.Config{Timeout: time.Second, AttemptTimeout: 200 * time.Millisecond})
	_, err := client.Join(t.Context(), room.JoinRequest{RoomID: "r"})
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	require.ErrorContains(t, err, "the disk is full")
	assert.Greater(t, len(sent), 2)
}

// The service refuses a request after its deadline by the service's clock, and replies with that clock.
func TestAttempt_DeadlineUsesServiceClock(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, nc := connect(t)
			refused := false
			sent := silentFor(t, nc, 0, func(msg *nats.Msg) {
				if refused {
					joined(msg)
					return
				}
				refused = true
				reply := refusal("deadline_exceeded", "504", `{"code":"deadline_exceeded","message":"m"}`)
				reply.Header.Set("Room-Clock", time.Now().Add(ahead).UTC().Format(time.RFC3339Nano))
				assert.NoError(t, msg.RespondMsg(reply))
			})
			_, err := roomclient.New(nc, roomclient.Config{}).Join(t.Context(), room.JoinRequest{RoomID: "r"})
			require.NoError(t, err)
			first, second := <-sent, <-sent
			assert.InDelta(t, ahead.Seconds(), second.deadline.Sub(first.deadline).Seconds(), 60)
		})
	}
}
