package running_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/appworker/internal/running"
	"github.com/roombus/roombus/room"
)

// The test uses synctest's fake clock.
func TestHandlers_LogLateHandlerOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out logText
		r := running.New(slog.New(slog.NewTextHandler(&out, nil)), 4)
		ctx, stop := context.WithCancel(t.Context())
		go r.Watch(ctx)

		deaf, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		end := r.Begin(deaf, room.PreRoomUserJoined, "e1")
		prompt, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r.Begin(prompt, room.PostRoomCreate, "e2")
		endSoon := r.Begin(prompt, room.PreRoomCreatePrevent, "e3")
		context.AfterFunc(prompt, func() {
			<-time.After(50 * time.Millisecond) // shorter than the tolerance; Watch checks meanwhile
			endSoon()
		})
		<-time.After(2*time.Second + 25*time.Millisecond)
		synctest.Wait()
		assert.Equal(t, 1, strings.Count(out.String(), "\n"))
		assert.Contains(t, out.String(), `level=WARN msg="handler still running after its time" interface=PreRoomUserJoined event=e1 running_for=2s time=1.5s places_taken="2 of 4"`)

		<-time.After(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, 2, strings.Count(out.String(), "\n"), "the post-event's handler is late by now, and each is logged once")
		end()
		assert.Contains(t, out.String(), `level=INFO msg="handler ended after its time" interface=PreRoomUserJoined event=e1 took=12.025s`)
		assert.NotContains(t, out.String(), "e3", "it ended soon after its context")
		assert.Equal(t, "PostRoomCreate 1", r.Describe(room.Interface.Known))
		stop()
	})
}

// logText collects the output of a logger.
type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
