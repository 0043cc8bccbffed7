package roomsvc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

// While JetStream does not answer, the log has one line for that. Errors that follow from it are
// recognized.
func TestOutageLog_OneLineAtBeginAndEnd(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	h := &streamHealth{log: log, nc: nc, last: func() uint64 { return 0 }}

	h.ReadFailed(true, errors.New("no heartbeat"))
	for range 10 {
		h.ReadFailed(false, context.DeadlineExceeded)
		assert.True(t, h.isUnavailable())
	}
	h.ReadStarted()
	assert.False(t, h.isUnavailable())
	assert.Equal(t, []string{
		`INFO msg="reading the stream failed; retrying" after=0 error="no heartbeat"`,
		`WARN msg="JetStream does not answer: commands are unavailable" error="context deadline exceeded"`,
		`INFO msg="JetStream answers, and the stream is read again" after=0 outage=`,
	}, regexp.MustCompile(`(?m)(?:INFO|WARN|ERROR) .*?(?:outage=|$)`).FindAllString(out.String(), -1))

	out.Reset()
	nc.Close()
	h.ReadFailed(false, context.DeadlineExceeded)
	assert.True(t, h.isUnavailable())
	assert.Empty(t, out.String(), "the loss of the connection is logged")
}

// A node that is cut off from the others still serves reads of the stream, though its leader does
// not answer.
func TestOutageLog_LeaderSilentWhileStreamIsRead(t *testing.T) {
	t.Parallel()
	out := &lockedBuffer{}
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s, err := Start(t.Context(), nc, Config{Logger: slog.New(slog.NewTextHandler(out, nil))})
	require.NoError(t, err)
	for range 3 {
		s.health.leaderSilent(s.ctx, &s.running, context.DeadlineExceeded)
	}
	assert.True(t, s.health.isUnavailable())
	require.Eventually(t, func() bool { return !s.health.isUnavailable() }, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, s.Stop(t.Context()))
	assert.Equal(t, 1, strings.Count(out.String(), `WARN msg="JetStream does not answer: commands are unavailable"`), out)
	assert.Equal(t, 1, strings.Count(out.String(), `INFO msg="JetStream answers, and the stream is read again"`), out)
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
