package health_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/health"
)

// While JetStream does not answer, the log has one line for that. Errors that follow from it are
// recognized.
func TestOutageLog_OneLineAtBeginAndEnd(t *testing.T) {
	t.Parallel()
	nc := harness.Connect(t, harness.NewServer(t))
	var out bytes.Buffer
	h := health.New(config(t, nc, &out))

	h.ReadFailed(true, errors.New("no heartbeat"))
	for range 10 {
		h.ReadFailed(false, context.DeadlineExceeded)
		assert.True(t, h.IsUnavailable())
	}
	h.ReadStarted()
	assert.False(t, h.IsUnavailable())
	assert.Equal(t, []string{
		`INFO msg="reading the stream failed; retrying" after=0 error="no heartbeat"`,
		`WARN msg="JetStream does not answer: commands are unavailable" error="context deadline exceeded"`,
		`INFO msg="JetStream answers, and the stream is read again" after=0 outage=`,
	}, regexp.MustCompile(`(?m)(?:INFO|WARN|ERROR) .*?(?:outage=|$)`).FindAllString(out.String(), -1))

	out.Reset()
	nc.Close()
	h.ReadFailed(false, context.DeadlineExceeded)
	assert.True(t, h.IsUnavailable())
	assert.Empty(t, out.String(), "the loss of the connection is logged")
}

// Commands are refused from when the stream is found to be gone until it is back. That is logged
// also if JetStream did not answer before.
func TestOutageLog_StreamGone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := health.New(config(t, harness.Connect(t, harness.NewServer(t)), &out))
	require.NoError(t, h.StreamError())
	h.ReadFailed(false, context.DeadlineExceeded)
	require.NoError(t, h.StreamError(), "JetStream did not say so")
	for range 3 {
		h.ReadFailed(false, jetstream.ErrStreamNotFound)
		require.ErrorIs(t, h.StreamError(), &room.Error{Code: room.CodeUnavailable})
	}
	h.StreamFound()
	require.NoError(t, h.StreamError())
	assert.Equal(t, 1, strings.Count(out.String(), `level=ERROR msg="stream is gone: commands are unavailable until it is back" stream=ROOM_EVENTS`), &out)
}

// A node that is cut off from the others still serves reads of the stream, though its leader does
// not answer.
func TestOutageLog_LeaderSilentWhileStreamIsRead(t *testing.T) {
	t.Parallel()
	nc := harness.Connect(t, harness.NewServer(t))
	createEvents(t, nc)
	out := harness.NewOutput()
	h := health.New(config(t, nc, out))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	defer running.Wait()
	defer stop()
	for range 3 {
		h.LeaderSilent(context.DeadlineExceeded)
	}
	assert.True(t, h.IsUnavailable())
	require.Eventually(t, func() bool { return !h.IsUnavailable() }, 5*time.Second, 10*time.Millisecond)
	stop()
	running.Wait()
	assert.Equal(t, 1, strings.Count(out.String(), `WARN msg="JetStream does not answer: commands are unavailable"`), out)
	assert.Equal(t, 1, strings.Count(out.String(), `INFO msg="JetStream answers, and the stream is read again"`), out)
}
