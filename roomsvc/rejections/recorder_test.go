package rejections_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/rejections"
)

const ackWait = 10 * time.Second

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

// recording is a recorder with one writer on a stalled JetStream.
type recording struct {
	*rejections.Recorder
	*stalled
	log    *bytes.Buffer
	cancel context.CancelFunc // ends Run
	ended  chan struct{}      // closed when Run has returned
}

// record runs the test with a recorder in a bubble of its own.
func record(t *testing.T, test func(t *testing.T, r *recording)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &recording{stalled: &stalled{asked: make(chan string), answers: make(chan error)}, log: &bytes.Buffer{}, ended: make(chan struct{})}
		r.Recorder = rejections.New(rejections.Config{
			To: r.stalled, AckWait: ackWait, Writers: 1, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		r.cancel = cancel
		go func() {
			defer close(r.ended)
			r.Run(ctx)
		}()
		test(t, r)
		cancel()
		<-r.ended
	})
}

var denial error = room.Errorf(room.CodeUserNotAllowed, "no")

// deny records the rejection of a command that apps have denied.
func (r *recording) deny(n int) {
	c := rules.Command{ID: "c" + strconv.Itoa(n), Request: room.JoinRequest{RoomID: "r", User: room.User{ID: "ann"}}}
	_ = r.Rejected(c, denial)
}

// answer answers the publish that waits, and waits until the recorder has noted the answer.
func (r *recording) answer(err error) {
	r.answers <- err
	synctest.Wait()
}

// stop ends the recorder as a service does when it stops.
func (r *recording) stop(ctx context.Context) {
	r.Finish(ctx)
	r.cancel()
	<-r.ended
}

func (r *recording) lines() []string { return strings.Split(strings.TrimSpace(r.log.String()), "\n") }

// Only a refusal is recorded, and each error is returned as it is.
func TestRecorder_RecordsRefusalsOnly(t *testing.T) {
	t.Parallel()
	record(t, func(t *testing.T, r *recording) {
		c := rules.Command{ID: "c1", Request: room.JoinRequest{RoomID: "r", User: room.User{ID: "ann"}}}
		for _, err := range []error{nil, errors.New("plain"), room.NotFound("r"), room.Errorf(room.CodeOverloaded, "later")} {
			require.Equal(t, err, r.Rejected(c, err))
		}
		synctest.Wait()
		assert.Empty(t, r.asked)
		require.Equal(t, denial, r.Rejected(c, denial))
		assert.Equal(t, "c1", <-r.asked)
		r.answer(nil)
		r.stop(t.Context())
		assert.Zero(t, r.Dropped())
	})
}

// While JetStream does not answer, recording does not block, up to a bound. The log has one line
// when rejections begin to be lost, and one when that is over.
func TestRecorder_RecordDoesNotBlock(t *testing.T) {
	t.Parallel()
	record(t, func(t *testing.T, r *recording) {
		r.deny(0)
		assert.Equal(t, "c0", <-r.asked, "and there it hangs")
		for n := range rejections.MaxQueued + 10 {
			r.deny(n + 1)
		}
		assert.Equal(t, uint64(10), r.Dropped())
		r.answers <- nil
		for n := range rejections.MaxQueued {
			assert.Equal(t, "c"+strconv.Itoa(n+1), <-r.asked, "the queue is written in order")
			if n == 0 { // it answers, and still cannot keep up
				r.deny(rejections.MaxQueued + 1)
				r.deny(0)
			}
			r.answers <- nil
		}
		<-r.asked
		r.answers <- nil
		r.stop(t.Context())
		assert.Equal(t, uint64(11), r.Dropped())
		require.Len(t, r.lines(), 2, r.log)
		assert.Regexp(t, `level=WARN msg="rejections are being lost".*error="rejections came faster than they could be written"`, r.lines()[0])
		assert.Regexp(t, `level=INFO msg="rejections are recorded again".*lost=11`, r.lines()[1])
	})
}

func TestRecorder_RefusedRejectionsCountedAndLoggedOnce(t *testing.T) {
	t.Parallel()
	record(t, func(t *testing.T, r *recording) {
		for n, err := range []error{nil, jetstream.ErrNoStreamResponse, errors.New("second"), errors.New("third"), nil, nil, errors.New("fourth"), nil} {
			r.deny(n)
			<-r.asked
			r.answer(err)
		}
		assert.Equal(t, uint64(4), r.Dropped())
		r.stop(t.Context())
		require.Len(t, r.lines(), 3, r.log)
		assert.Contains(t, r.lines()[0], jetstream.ErrNoStreamResponse.Error())
		assert.Contains(t, r.lines()[1], "again")
		assert.Contains(t, r.lines()[1], "lost=3")
		assert.Contains(t, r.lines()[2], "lost=1", "losses soon afterwards have no log lines, but are counted")
	})
}

// A stop writes the queue if JetStream answers.
func TestRecorder_StopWritesQueue(t *testing.T) {
	t.Parallel()
	record(t, func(t *testing.T, r *recording) {
		for n := range 3 {
			r.deny(n)
		}
		assert.Equal(t, "c0", <-r.asked)
		go func() {
			r.answers <- nil
			for range 2 {
				<-r.asked
				r.answers <- nil
			}
		}()
		r.stop(t.Context())
		assert.Zero(t, r.Dropped())
		r.stop(t.Context()) // as a service may be stopped twice
	})
}

// A stop does not try each rejection if JetStream fails.
func TestRecorder_StopDoesNotWaitForDeadJetStream(t *testing.T) {
	t.Parallel()
	record(t, func(t *testing.T, r *recording) {
		for n := range 5 {
			r.deny(n)
		}
		assert.Equal(t, "c0", <-r.asked)
		stopped := make(chan struct{})
		start := time.Now()
		go func() {
			defer close(stopped)
			r.stop(t.Context())
		}()
		synctest.Wait()
		r.answers <- nil
		<-r.asked
		r.answers <- context.DeadlineExceeded
		<-stopped
		assert.Less(t, time.Since(start), ackWait)
		assert.Equal(t, uint64(4), r.Dropped())
		assert.Contains(t, r.log.String(), "lost=4")
	})
}

func TestRecorder_StopEndsWithContext(t *testing.T) {
	t.Parallel()
	record(t, func(t *testing.T, r *recording) {
		for n := range 5 {
			r.deny(n)
		}
		<-r.asked
		over, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		r.stop(over)
		assert.Less(t, time.Since(start), ackWait)
		assert.Equal(t, uint64(5), r.Dropped())
		assert.Contains(t, r.log.String(), "lost=5")
	})
}

// A short loss that the pacing leaves out of the log is not logged later, when rejections are
// recorded.
func TestRecorder_LossIsNotLoggedAfterItsEnd(t *testing.T) {
	t.Parallel()
	record(t, func(t *testing.T, r *recording) {
		write := func(err error) {
			r.deny(0)
			<-r.asked
			r.answer(err)
		}
		for range 10 {
			write(errors.New("down"))
			write(nil)
		}
		before := r.log.String()
		assert.Contains(t, before, "rejections are being lost")
		<-time.After(time.Hour)
		write(nil)
		assert.Equal(t, before, r.log.String())
	})
}
