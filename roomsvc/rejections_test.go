package roomsvc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// stalled is a JetStream that answers each publish when and how the test says.
type stalled struct {
	asked   chan string // the id of the command, as it comes
	answers chan error
}

func (s *stalled) PublishMsg(ctx context.Context, msg *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	select {
	case s.asked <- msg.Header.Get("ce-id"):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-s.answers:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// recordingOn starts a recorder on a stalled JetStream. The caller reads the log after the recorder
// has ended.
func recordingOn(t *testing.T) (r *recorder, js *stalled, end func(context.Context), log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	js = &stalled{asked: make(chan string), answers: make(chan error)}
	r = newRecorder(js, patience, 1, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	end = func(stop context.Context) {
		r.finish(stop)
		cancel()
		running.Wait()
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return r, js, end, log
}

func denied(n int) room.Rejection {
	return room.Rejection{ID: "c" + strconv.Itoa(n), Command: "join", Room: "r", Kind: room.RejectionDenied}
}

// While JetStream does not answer, record does not block, up to a bound. The log has one line when
// rejections begin to be lost, and one when that is over.
func TestRecorder_RecordDoesNotBlock(t *testing.T) {
	t.Parallel()
	r, js, end, log := recordingOn(t)
	r.record(denied(0), "")
	assert.Equal(t, "c0", <-js.asked, "and there it hangs")
	for n := range maxQueued + 10 {
		r.record(denied(n+1), "")
	}
	assert.Equal(t, uint64(10), r.dropped.Load())
	js.answers <- nil
	for n := range maxQueued {
		assert.Equal(t, "c"+strconv.Itoa(n+1), <-js.asked, "the queue is written in order")
		if n == 0 { // it answers, and still cannot keep up
			r.record(denied(maxQueued+1), "")
			r.record(denied(0), "")
		}
		js.answers <- nil
	}
	<-js.asked
	js.answers <- nil
	end(t.Context())
	assert.Equal(t, uint64(11), r.dropped.Load())
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 2, log)
	assert.Regexp(t, `level=WARN msg="rejections are being lost".*error="rejections came faster than they could be written"`, lines[0])
	assert.Regexp(t, `level=INFO msg="rejections are recorded again".*lost=11`, lines[1])
}

// answering is a JetStream that answers each publish with the next of the errors.
type answering []error

func (a *answering) PublishMsg(context.Context, *nats.Msg, ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	err := (*a)[0]
	*a = (*a)[1:]
	return nil, err
}

func TestRecorder_RefusedRejectionsCountedAndLoggedOnce(t *testing.T) {
	t.Parallel()
	js := answering{nil, jetstream.ErrNoStreamResponse, errors.New("second"), errors.New("third"), nil, nil, errors.New("fourth"), nil}
	var log bytes.Buffer
	r := newRecorder(&js, patience, 1, slog.New(slog.NewTextHandler(&log, nil)))
	for n := range len(js) {
		r.logLosses(r.write(t.Context(), recording{rejection: denied(n)}))
	}
	assert.Equal(t, uint64(4), r.dropped.Load())
	r.drain(t.Context())
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 3, log)
	assert.Contains(t, lines[0], jetstream.ErrNoStreamResponse.Error())
	assert.Contains(t, lines[1], "again")
	assert.Contains(t, lines[1], "lost=3")
	assert.Contains(t, lines[2], "lost=1", "losses soon afterwards have no log lines, but are counted")
}

// A stop writes the queue if JetStream answers.
func TestRecorder_StopWritesQueue(t *testing.T) {
	t.Parallel()
	r, js, end, _ := recordingOn(t)
	for n := range 3 {
		r.record(denied(n), "")
	}
	assert.Equal(t, "c0", <-js.asked)
	go func() {
		js.answers <- nil
		for range 2 {
			<-js.asked
			js.answers <- nil
		}
	}()
	end(t.Context())
	assert.Zero(t, r.dropped.Load())
	end(t.Context()) // as a service may be stopped twice
}

// A stop does not try each rejection if JetStream fails.
func TestRecorder_StopDoesNotWaitForDeadJetStream(t *testing.T) {
	t.Parallel()
	r, js, end, log := recordingOn(t)
	for n := range 5 {
		r.record(denied(n), "")
	}
	assert.Equal(t, "c0", <-js.asked)
	go func() {
		<-r.last.Done()
		js.answers <- nil
		<-js.asked
		js.answers <- context.DeadlineExceeded
	}()
	start := time.Now()
	end(t.Context())
	assert.Less(t, time.Since(start), patience)
	assert.Equal(t, uint64(4), r.dropped.Load())
	assert.Contains(t, log.String(), "lost=4")
}

func TestRecorder_StopEndsWithContext(t *testing.T) {
	t.Parallel()
	r, js, end, log := recordingOn(t)
	for n := range 5 {
		r.record(denied(n), "")
	}
	<-js.asked
	over, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	end(over)
	assert.Less(t, time.Since(start), patience)
	assert.Equal(t, uint64(5), r.dropped.Load())
	assert.Contains(t, log.String(), "lost=5")
}

// A short loss that the pacing leaves out of the log is not logged later, when rejections are recorded.
func TestRecorder_LossIsNotLoggedAfterItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := newRecorder(nil, time.Second, 1, slog.New(slog.NewTextHandler(&out, nil)))
		for range 10 {
			r.dropped.Add(1)
			r.logLosses(errors.New("down"))
			r.logLosses(nil)
		}
		before := out.String()
		assert.Contains(t, before, "rejections are being lost")
		<-time.After(time.Hour)
		r.logLosses(nil)
		assert.Equal(t, before, out.String())
	})
}
