package policy_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// question is a pre-event that an app of a chain got.
type question struct {
	asked, answered time.Time
	left            time.Duration // from the pre-event's header
}

// chain makes ten apps that modify one after the other: one that hangs for a minute, and nine that
// answer.
func chain(t *testing.T, b *harness.Bus) <-chan question {
	t.Helper()
	questions := make(chan question, 100)
	for n := range 10 {
		id := "app-" + strconv.Itoa(n)
		m := room.Manifest{ID: id, Implements: []room.Interface{room.PreRoomCreateModify}, TimeoutMs: new(5000)}
		if n == 0 {
			m.TimeoutMs = new(room.MaxTimeoutMs)
		}
		b.Register(t, m)
		b.Answer(t, room.PreRoomCreateModify, id, func(msg *nats.Msg) {
			q := question{asked: time.Now(), left: subjects.TimeLeft(msg.Header, -1)}
			if n > 0 {
				q.answered = time.Now()
			}
			questions <- q
			if n > 0 {
				_ = msg.Respond([]byte(`{"verdict":"allow","modify":{"customFields":{"` + id + `":true}}}`))
			}
		})
	}
	return questions
}

// A hanging app at the head of a chain leaves time for the other apps. Each app is told how much of
// the command's remaining time it may take.
func TestChain_HangingAppLeavesTimeForTheOthers(t *testing.T) {
	t.Parallel()
	const budget = 15 * time.Second
	b := harness.New(t, roomsvc.Config{Budget: budget})
	questions := chain(t, b)
	sent := time.Now()
	reply := b.Request(t, "room.svc.create", `{"room":{"id":"r","slugifiedName":"r","type":"channel"},"creator":{"id":"owner"}}`,
		"Room-Timeout-Ms", strconv.FormatInt(budget.Milliseconds(), 10))
	var r room.Result
	require.NoError(t, json.Unmarshal(reply.Data, &r))
	require.True(t, r.Changed, string(reply.Data))

	require.Len(t, r.Apps, 10)
	assert.Equal(t, room.TimedOut, r.Apps[0].Outcome)
	for _, a := range r.Apps[1:] {
		assert.Equal(t, room.Allowed, a.Outcome, "%s: %s", a.App, a.Reason)
	}
	assert.Len(t, r.Room.CustomFields, 9)
	assert.Equal(t, r.Apps, b.Decoded(t)[0].Data.Apps)

	require.GreaterOrEqual(t, len(questions), 10)
	earliest := sent // at which the next pre-event can have been sent
	var latest time.Time
	for n := range len(questions) {
		q := <-questions
		if n == 0 {
			latest = q.asked.Add(budget) // the command came before its first pre-event
		}
		assert.Positive(t, q.left)
		assert.LessOrEqual(t, q.left, latest.Sub(earliest))
		if q.answered.IsZero() { // retried, or abandoned
			earliest = earliest.Add(q.left / 2)
		} else {
			earliest = q.answered
		}
	}
}
