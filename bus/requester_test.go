package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

const patience = 10 * time.Second

func connect(t *testing.T) *nats.Conn { t.Helper(); return bus.Connection(t) }

func asker(t *testing.T, nc *nats.Conn) *bus.Requester {
	t.Helper()
	a, err := bus.NewRequester(bus.NewBatcher(nc))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func question(subject, data string, timeout time.Duration) bus.Request {
	return bus.Request{
		Subject: subject, Timeout: timeout,
		Message: func(time.Duration) *nats.Msg { return &nats.Msg{Data: []byte(data)} },
	}
}

func listen(t *testing.T, nc *nats.Conn, subject string, handle nats.MsgHandler) *nats.Subscription {
	t.Helper()
	sub, err := nc.Subscribe(subject, handle)
	require.NoError(t, err)
	return sub
}

func says(data string) nats.MsgHandler { return func(m *nats.Msg) { _ = m.Respond([]byte(data)) } }

func silent(*nats.Msg) {}

// replies waits for every question, in their order.
func replies(ctx context.Context, a *bus.Requester, questions ...bus.Request) []bus.Reply {
	all := make([]bus.Reply, len(questions))
	g := a.Ask(questions)
	for {
		n, r, ok := g.Next(ctx)
		if !ok {
			return all
		}
		all[n] = r
	}
}

func TestAskEndsEveryQuestion(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	listen(t, nc, "echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	listen(t, nc, "twice", func(m *nats.Msg) { _ = m.Respond([]byte("1")); _ = m.Respond([]byte("2")) })
	held := make(chan *nats.Msg, 1)
	listen(t, nc, "silent", func(m *nats.Msg) { held <- m })
	late := make(chan *nats.Msg, 1)
	slow := question("silent", "", 30*time.Millisecond)
	slow.Late = func(m *nats.Msg) { late <- m }

	all := replies(t.Context(), a,
		slow,
		question("echo", "hello", time.Minute),
		question("nobody", "", time.Minute),
		question("twice", "", time.Minute),
		question("bad subject", "", time.Minute),
	)
	require.ErrorIs(t, all[0].Err, bus.ErrTimeout)
	assert.GreaterOrEqual(t, all[0].Took, 30*time.Millisecond)
	require.NoError(t, all[1].Err)
	assert.Equal(t, "hello", string(all[1].Msg.Data))
	require.ErrorIs(t, all[2].Err, bus.ErrNoResponders)
	require.NoError(t, all[3].Err)
	assert.Equal(t, "1", string(all[3].Msg.Data))
	require.Error(t, all[4].Err)

	// What comes after the end is told apart: the reply of silent is late, the second one of
	// twice is one too many.
	require.NoError(t, (<-held).Respond([]byte("at last")))
	assert.Equal(t, "at last", string((<-late).Data))
	require.Eventually(t, func() bool { return a.Surplus() == 1 }, patience, time.Millisecond)
}

// An append ends with the connection, and one whose time is over is not sent.
func TestAnAppendThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	asked := make(chan *nats.Msg, 2)
	listen(t, nc, "silent", func(m *nats.Msg) { asked <- m })
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Append(over, &nats.Msg{Subject: "silent"}, "1", bus.Guard{Filter: "silent"})
	require.ErrorIs(t, err, bus.ErrUncertain)
	ended := make(chan error)
	go func() {
		_, err := a.Append(t.Context(), &nats.Msg{Subject: "silent"}, "2", bus.Guard{Filter: "silent"})
		ended <- err
	}()
	assert.Equal(t, "2", (<-asked).Header.Get(jetstream.MsgIDHeader))
	nc.Close()
	require.ErrorIs(t, <-ended, bus.ErrUncertain)
}

// Who has said that it cannot is the last word if nobody else can be asked.
func TestARetryThatCannotBeSent(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	listen(t, nc, "busy", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {"503"}}})
	})
	q := question("busy", "", time.Minute)
	q.Retry = "bad subject"
	r := replies(t.Context(), a, q)[0]
	require.NoError(t, r.Err)
	assert.Equal(t, "503", r.Msg.Header.Get(micro.ErrorCodeHeader))
	assert.True(t, r.Retried)
}

// Questions that the context left open go on with another one.
func TestAskingGoesOnWithAnotherContext(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan *nats.Msg, 1)
	listen(t, nc, "held", func(m *nats.Msg) { cancel(); held <- m })
	g := a.Ask([]bus.Request{question("held", "", time.Hour)})
	_, _, ok := g.Next(ctx)
	require.False(t, ok)
	require.NoError(t, (<-held).Respond([]byte("yes")))
	n, r, ok := g.Next(t.Context())
	require.True(t, ok)
	assert.Zero(t, n)
	assert.Equal(t, "yes", string(r.Msg.Data))
	_, _, ok = g.Next(t.Context())
	assert.False(t, ok, "each ends once")
}

func TestAskGivesEachItsOwnReply(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	listen(t, nc, "echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	var asking sync.WaitGroup
	for k := range 20 {
		asking.Go(func() {
			for n := range 50 {
				first, second := fmt.Sprintf("%d-%d", k, n), strconv.Itoa(n)
				all := replies(t.Context(), a, question("echo", first, time.Minute), question("echo", second, time.Minute))
				assert.Equal(t, first, string(all[0].Msg.Data))
				assert.Equal(t, second, string(all[1].Msg.Data))
			}
		})
	}
	asking.Wait()
	assert.Zero(t, a.Surplus())
}

// Who is asked one question cannot answer another: the reply subjects have nothing in common
// but their prefix.
func TestReplySubjectsCannotBeGuessed(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	var last []string
	listen(t, nc, "q", func(m *nats.Msg) {
		last = append(last, m.Reply[strings.LastIndex(m.Reply, ".")+1:])
		_ = m.Respond(nil)
	})
	for range 50 {
		replies(t.Context(), a, question("q", "", time.Minute))
	}
	for n, token := range last[1:] {
		assert.Len(t, token, 26)
		same := 0
		for k := range token {
			if token[k] == last[n][k] {
				same++
			}
		}
		assert.Less(t, same, 13, "%s %s", token, last[n])
	}
}

// A worker that hangs is passed over for the others after half of the time.
func TestAQuestionIsRetried(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	var asked []time.Duration
	first := question("q", "", time.Second)
	first.Message = func(left time.Duration) *nats.Msg { asked = append(asked, left); return &nats.Msg{} }
	first.Retry = "q.retry"
	listen(t, nc, "q", silent)
	listen(t, nc, "q.retry", says("here"))
	r := replies(t.Context(), a, first)[0]
	require.NoError(t, r.Err)
	assert.Equal(t, "here", string(r.Msg.Data))
	assert.True(t, r.Retried)
	assert.GreaterOrEqual(t, r.Took, 500*time.Millisecond)
	require.Len(t, asked, 2)
	assert.InDelta(t, time.Second, asked[0], float64(time.Millisecond))
	assert.LessOrEqual(t, asked[1], 500*time.Millisecond, "what is left of its time")
}

// Where nobody listens for retries the question goes to its own subject once more, and once
// only.
func TestARetryFallsBackToTheSubject(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	var times atomic.Int32
	listen(t, nc, "q", func(m *nats.Msg) {
		if times.Add(1) == 2 {
			_ = m.Respond([]byte("second"))
		}
	})
	q := question("q", "", 600*time.Millisecond)
	q.Retry = "q.retry"
	assert.Equal(t, "second", string(replies(t.Context(), a, q)[0].Msg.Data))
	assert.ErrorIs(t, replies(t.Context(), a, q)[0].Err, bus.ErrTimeout)
	assert.EqualValues(t, 4, times.Load())
}

// One that says it cannot now is passed over at once; without another its word stands.
func TestUnavailableIsRetriedAtOnce(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	listen(t, nc, "q", stopping)
	other := listen(t, nc, "q.retry", says("here"))
	q := question("q", "", time.Hour)
	q.Retry = "q.retry"
	assert.Equal(t, "here", string(replies(t.Context(), a, q)[0].Msg.Data))
	require.NoError(t, other.Unsubscribe())
	r := replies(t.Context(), a, q)[0]
	require.NoError(t, r.Err)
	assert.Equal(t, "stopping", r.Msg.Header.Get(micro.ErrorHeader))
}

func stopping(m *nats.Msg) {
	_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {"503"}, micro.ErrorHeader: {"stopping"}}})
}

// Of several who get a retry, those who cannot do not speak for the others.
func TestARetryIsForWhoeverCan(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	listen(t, nc, "q", stopping)
	last := make(chan *nats.Msg, 1)
	listen(t, nc, "q.retry", func(m *nats.Msg) {
		for range 10 {
			stopping(m)
		}
		last <- m
	})
	q := question("q", "", time.Hour)
	q.Retry = "q.retry"
	go func() { says("here")(<-last) }()
	assert.Equal(t, "here", string(replies(t.Context(), a, q)[0].Msg.Data))
	assert.Equal(t, 1, a.Waiting(), "the retry is remembered: others may answer it")
	assert.Zero(t, a.Surplus())
}

// What is remembered is bounded, and so is what is known of late replies.
func TestLateRepliesAreForgotten(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	var first atomic.Pointer[nats.Msg]
	listen(t, nc, "q", func(m *nats.Msg) { first.CompareAndSwap(nil, m) })
	q := question("q", "", 0)
	q.Late = func(*nats.Msg) { t.Error("the first question was to be forgotten") }
	for range 17 {
		questions := make([]bus.Request, 1000)
		for n := range questions {
			questions[n] = q
		}
		replies(t.Context(), a, questions...)
	}
	assert.Equal(t, 1<<14, a.Waiting())
	require.Eventually(t, func() bool { return first.Load() != nil }, patience, time.Millisecond)
	require.NoError(t, first.Load().Respond([]byte("late")))
	require.Eventually(t, func() bool { return a.Surplus() == 1 }, patience, time.Millisecond)
}

// When the time is up, the word of those who cannot is better than none, persistent or not.
func TestNobodyCan(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	listen(t, nc, "q", stopping)
	listen(t, nc, "q.retry", stopping)
	for _, persist := range []bool{false, true} {
		q := question("q", "", 200*time.Millisecond)
		q.Retry, q.Persist = "q.retry", persist
		r := untilAnswered(t, a, q)
		require.NoError(t, r.Err)
		assert.Equal(t, "stopping", r.Msg.Header.Get(micro.ErrorHeader))
		assert.GreaterOrEqual(t, r.Took, 200*time.Millisecond)
	}
}

// Somebody who must answer and is away for a moment is waited for, within the time.
func TestPersist(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	var sent atomic.Int32
	q := question("q", "", time.Hour)
	q.Persist = true
	q.Message = func(time.Duration) *nats.Msg {
		if sent.Add(1) == 3 {
			listen(t, nc, "q", says("back"))
		}
		return &nats.Msg{}
	}
	r := replies(t.Context(), a, q)[0]
	assert.Equal(t, "back", string(r.Msg.Data))

	const between = 115 * time.Millisecond // two sendings, long after the one and before the other
	gone := question("nobody", "", between)
	gone.Persist = true
	r = untilAnswered(t, a, gone)
	require.ErrorIs(t, r.Err, bus.ErrNoResponders)
	assert.GreaterOrEqual(t, r.Took, between)
}

// untilAnswered asks until no sending was on its way when the time was up, as one may be on a busy
// machine.
func untilAnswered(t *testing.T, a *bus.Requester, q bus.Request) (r bus.Reply) {
	t.Helper()
	require.Eventually(t, func() bool {
		r = replies(t.Context(), a, q)[0]
		return !errors.Is(r.Err, bus.ErrTimeout)
	}, patience, time.Millisecond)
	return r
}

// What has been closed is nobody's any more.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := asker(t, nc)
	held := make(chan *nats.Msg, 1)
	listen(t, nc, "q", func(m *nats.Msg) { held <- m })
	g := a.Ask([]bus.Request{question("q", "", time.Hour)})
	msg := <-held
	g.Close()
	_, _, ok := g.Next(t.Context())
	assert.False(t, ok)
	require.NoError(t, msg.Respond(nil))
	require.Eventually(t, func() bool { return a.Surplus() == 1 }, patience, time.Millisecond)
	assert.Zero(t, a.Waiting())
}
