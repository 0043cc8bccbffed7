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

func newRequester(t *testing.T, nc *nats.Conn) *bus.Requester {
	t.Helper()
	a, err := bus.NewRequester(bus.NewBatcher(nc))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func newRequest(subject, data string, timeout time.Duration) bus.Request {
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

// replies returns the result of every request, in order.
func replies(ctx context.Context, a *bus.Requester, requests ...bus.Request) []bus.Reply {
	all := make([]bus.Reply, len(requests))
	g := a.Ask(requests)
	for {
		n, r, ok := g.Next(ctx)
		if !ok {
			return all
		}
		all[n] = r
	}
}

func TestRequester_EveryRequestEnds(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	listen(t, nc, "echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	listen(t, nc, "twice", func(m *nats.Msg) { _ = m.Respond([]byte("1")); _ = m.Respond([]byte("2")) })
	held := make(chan *nats.Msg, 1)
	listen(t, nc, "silent", func(m *nats.Msg) { held <- m })
	late := make(chan *nats.Msg, 1)
	slow := newRequest("silent", "", 30*time.Millisecond)
	slow.Late = func(m *nats.Msg) { late <- m }

	all := replies(t.Context(), a,
		slow,
		newRequest("echo", "hello", time.Minute),
		newRequest("unserved", "", time.Minute),
		newRequest("twice", "", time.Minute),
		newRequest("bad subject", "", time.Minute),
	)
	require.ErrorIs(t, all[0].Err, bus.ErrTimeout)
	assert.GreaterOrEqual(t, all[0].Took, 30*time.Millisecond)
	require.NoError(t, all[1].Err)
	assert.Equal(t, "hello", string(all[1].Msg.Data))
	require.ErrorIs(t, all[2].Err, bus.ErrNoResponders)
	require.NoError(t, all[3].Err)
	assert.Equal(t, "1", string(all[3].Msg.Data))
	require.Error(t, all[4].Err)

	// Replies after the end are distinguished: the reply of silent is late, the second reply of
	// twice is surplus.
	require.NoError(t, (<-held).Respond([]byte("at last")))
	assert.Equal(t, "at last", string((<-late).Data))
	require.Eventually(t, func() bool { return a.Surplus() == 1 }, patience, time.Millisecond)
}

// An append ends when the connection closes. An append with an ended context is not sent.
func TestAppend_EndsWithConnectionOrContext(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
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

// If the retry cannot be sent, the first worker's 503 is the result.
func TestRequester_UnsendableRetryKeepsFirst503(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	listen(t, nc, "busy", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {"503"}}})
	})
	q := newRequest("busy", "", time.Minute)
	q.Retry = "bad subject"
	r := replies(t.Context(), a, q)[0]
	require.NoError(t, r.Err)
	assert.Equal(t, "503", r.Msg.Header.Get(micro.ErrorCodeHeader))
	assert.True(t, r.Retried)
}

// Requests that are open when the context of Next ends continue with another context.
func TestRequests_NextResumesWithAnotherContext(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan *nats.Msg, 1)
	listen(t, nc, "held", func(m *nats.Msg) { cancel(); held <- m })
	g := a.Ask([]bus.Request{newRequest("held", "", time.Hour)})
	_, _, ok := g.Next(ctx)
	require.False(t, ok)
	require.NoError(t, (<-held).Respond([]byte("yes")))
	n, r, ok := g.Next(t.Context())
	require.True(t, ok)
	assert.Zero(t, n)
	assert.Equal(t, "yes", string(r.Msg.Data))
	_, _, ok = g.Next(t.Context())
	assert.False(t, ok, "each request ends once")
}

func TestRequester_ConcurrentRequestsGetTheirOwnReplies(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	listen(t, nc, "echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	var asking sync.WaitGroup
	for k := range 20 {
		asking.Go(func() {
			for n := range 50 {
				first, second := fmt.Sprintf("%d-%d", k, n), strconv.Itoa(n)
				all := replies(t.Context(), a, newRequest("echo", first, time.Minute), newRequest("echo", second, time.Minute))
				assert.Equal(t, first, string(all[0].Msg.Data))
				assert.Equal(t, second, string(all[1].Msg.Data))
			}
		})
	}
	asking.Wait()
	assert.Zero(t, a.Surplus())
}

// A worker must not be able to reply to a request that it did not receive: reply subjects have only
// their prefix in common.
func TestRequester_ReplySubjectsAreRandom(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	var last []string
	listen(t, nc, "q", func(m *nats.Msg) {
		last = append(last, m.Reply[strings.LastIndex(m.Reply, ".")+1:])
		_ = m.Respond(nil)
	})
	for range 50 {
		replies(t.Context(), a, newRequest("q", "", time.Minute))
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

// After half of the timeout without a reply, the request goes to the other workers.
func TestRequester_SilentRequestIsRetriedAtHalfTime(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	var asked []time.Duration
	first := newRequest("q", "", time.Second)
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
	assert.LessOrEqual(t, asked[1], 500*time.Millisecond, "the time left")
}

// Without responders on the retry subject, the request goes to its own subject once more.
func TestRequester_RetryWithoutRespondersUsesSubject(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	var times atomic.Int32
	listen(t, nc, "q", func(m *nats.Msg) {
		if times.Add(1) == 2 {
			_ = m.Respond([]byte("second"))
		}
	})
	q := newRequest("q", "", 3*time.Second)
	q.Retry = "q.retry"
	assert.Equal(t, "second", string(replies(t.Context(), a, q)[0].Msg.Data))
	assert.ErrorIs(t, replies(t.Context(), a, q)[0].Err, bus.ErrTimeout)
	assert.EqualValues(t, 4, times.Load())
}

// A 503 is retried at once. Without another worker the 503 is the result.
func TestRequester_UnavailableIsRetriedAtOnce(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	listen(t, nc, "q", stopping)
	other := listen(t, nc, "q.retry", says("here"))
	q := newRequest("q", "", time.Hour)
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

// If several workers receive a retry, a 503 of one does not hide the reply of another.
func TestRequester_RetryIgnoresUnavailableIfAnotherReplies(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	listen(t, nc, "q", stopping)
	last := make(chan *nats.Msg, 1)
	listen(t, nc, "q.retry", func(m *nats.Msg) {
		for range 10 {
			stopping(m)
		}
		last <- m
	})
	q := newRequest("q", "", time.Hour)
	q.Retry = "q.retry"
	go func() { says("here")(<-last) }()
	assert.Equal(t, "here", string(replies(t.Context(), a, q)[0].Msg.Data))
	assert.Equal(t, 1, a.Pending(), "the retry is kept: other workers may reply to it")
	assert.Zero(t, a.Surplus())
}

// The number of ended attempts is bounded, so a very late reply counts as surplus.
func TestRequester_EndedAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	var first atomic.Pointer[nats.Msg]
	listen(t, nc, "q", func(m *nats.Msg) { first.CompareAndSwap(nil, m) })
	q := newRequest("q", "", 0)
	q.Late = func(*nats.Msg) { t.Error("the first request is still kept") }
	for range 17 {
		requests := make([]bus.Request, 1000)
		for n := range requests {
			requests[n] = q
		}
		replies(t.Context(), a, requests...)
	}
	assert.Equal(t, 1<<14, a.Pending())
	require.Eventually(t, func() bool { return first.Load() != nil }, patience, time.Millisecond)
	require.NoError(t, first.Load().Respond([]byte("late")))
	require.Eventually(t, func() bool { return a.Surplus() == 1 }, patience, time.Millisecond)
}

// If all workers reply 503, the result at the timeout is the 503, with Persist or without.
func TestRequester_UnavailableEverywhereEndsAtTimeout(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	listen(t, nc, "q", stopping)
	listen(t, nc, "q.retry", stopping)
	for _, persist := range []bool{false, true} {
		q := newRequest("q", "", 200*time.Millisecond)
		q.Retry, q.Persist = "q.retry", persist
		r := untilAnswered(t, a, q)
		require.NoError(t, r.Err)
		assert.Equal(t, "stopping", r.Msg.Header.Get(micro.ErrorHeader))
		assert.GreaterOrEqual(t, r.Took, 200*time.Millisecond)
	}
}

// With Persist, a request waits for a worker that is away, up to the timeout.
func TestRequester_PersistRetriesWithoutResponders(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	var sent atomic.Int32
	q := newRequest("q", "", time.Hour)
	q.Persist = true
	q.Message = func(time.Duration) *nats.Msg {
		if sent.Add(1) == 3 {
			listen(t, nc, "q", says("back"))
		}
		return &nats.Msg{}
	}
	r := replies(t.Context(), a, q)[0]
	assert.Equal(t, "back", string(r.Msg.Data))

	const between = 115 * time.Millisecond // between two attempts
	gone := newRequest("unserved", "", between)
	gone.Persist = true
	r = untilAnswered(t, a, gone)
	require.ErrorIs(t, r.Err, bus.ErrNoResponders)
	assert.GreaterOrEqual(t, r.Took, between)
}

// A worker that comes when most of the time has passed, and does not reply, is not blamed with a timeout.
func TestRequester_PersistWithLateWorkerEndsWithoutResponders(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	for came := false; !came; { // on a busy machine the request may end before the worker comes
		late := 0
		q := newRequest("q", "", 400*time.Millisecond)
		q.Persist = true
		q.Message = func(left time.Duration) *nats.Msg {
			if left < q.Timeout/2 {
				late++
			}
			if late == 2 {
				listen(t, nc, "q", silent)
				came = true
			}
			return &nats.Msg{}
		}
		require.ErrorIs(t, replies(t.Context(), a, q)[0].Err, bus.ErrNoResponders)
	}
}

// untilAnswered repeats the request until it ends without an attempt in flight. On a busy machine an
// attempt may be in flight at the timeout.
func untilAnswered(t *testing.T, a *bus.Requester, q bus.Request) (r bus.Reply) {
	t.Helper()
	require.Eventually(t, func() bool {
		r = replies(t.Context(), a, q)[0]
		return !errors.Is(r.Err, bus.ErrTimeout)
	}, patience, time.Millisecond)
	return r
}

// After Close a reply is surplus and no attempt is kept.
func TestRequests_CloseAbandonsOpenRequests(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	a := newRequester(t, nc)
	held := make(chan *nats.Msg, 1)
	listen(t, nc, "q", func(m *nats.Msg) { held <- m })
	g := a.Ask([]bus.Request{newRequest("q", "", time.Hour)})
	msg := <-held
	g.Close()
	_, _, ok := g.Next(t.Context())
	assert.False(t, ok)
	require.NoError(t, msg.Respond(nil))
	require.Eventually(t, func() bool { return a.Surplus() == 1 }, patience, time.Millisecond)
	assert.Zero(t, a.Pending())
}
