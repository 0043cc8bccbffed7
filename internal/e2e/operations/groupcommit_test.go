package operations_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// createAtOnce creates so many rooms at once, and returns the error of each.
func createAtOnce(t *testing.T, c *roomclient.Client, prefix string, n int) []error {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { _, errs[i] = c.Create(t.Context(), harness.NewRoom(fmt.Sprint(prefix, i))) })
	}
	all.Wait()
	return errs
}

// grouped returns the number of messages that were stored in batches.
func grouped(t *testing.T, b *harness.Bus) (n int) {
	t.Helper()
	for _, msg := range b.Events(t) {
		if msg.Header.Get("Nats-Batch-Id") != "" {
			n++
		}
	}
	return n
}

// The answer to a batch is lost. Each of its commands still takes effect once and gets its own
// result.
func TestGroupCommit_AnswerLost(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", SyncAlways: true})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	b := harness.BusOn(t, server)
	p := harness.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	harness.Serve(t, harness.ConnectTo(t, p.URL()), roomsvc.Config{GroupCommits: true, AckWait: time.Second, Budget: 20 * time.Second, CommitPatience: 15 * time.Second})
	p.LoseToClient(`"batch":"`)
	client := roomclient.New(b.NC, roomclient.Config{Timeout: 30 * time.Second, AttemptTimeout: 3 * time.Second}) // an answer may be lost with the connection
	const rooms = 300
	for _, err := range createAtOnce(t, client, "r", rooms) {
		require.NoError(t, err)
	}
	require.Equal(t, 1, p.Cuts())
	require.NotZero(t, grouped(t, b))
	events := b.Decoded(t)
	require.Len(t, events, rooms)
	scene.RequireChained(t, events)
}

// An embedded server is killed during batched commits. After the restart, every acknowledged event
// is stored once, and the events chain.
func TestGroupCommit_ServerKilled(t *testing.T) {
	t.Parallel()
	serve := []string{"--store-dir", t.TempDir(), "--sync", "always"}
	p, url := harness.ServeProcess(t, serve...)
	b := harness.BusAt(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan []string)
	go func() {
		var mu sync.Mutex
		var acked []string
		var all sync.WaitGroup
		for g := range 128 {
			all.Go(func() {
				for n := 0; ; n++ {
					id := fmt.Sprintf("r%d_%d", g, n)
					if _, err := b.Client.Create(ctx, harness.NewRoom(id)); err != nil {
						return
					}
					mu.Lock()
					acked = append(acked, id)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		done <- acked
	}()
	require.Eventually(t, func() bool {
		s, err := b.JS.Stream(t.Context(), subjects.Events)
		return err == nil && s.CachedInfo().State.Msgs > 500
	}, time.Minute, 10*time.Millisecond)
	p.Signal(syscall.SIGKILL)
	p.Wait()
	cancel()
	acked := <-done
	_, url = harness.ServeProcess(t, serve...)
	b = harness.BusAt(t, url)
	assert.NotZero(t, grouped(t, b))
	events := b.Decoded(t)
	scene.RequireChained(t, events)
	there := map[string]bool{}
	for _, e := range events {
		require.False(t, there[e.Room], e.Room)
		there[e.Room] = true
	}
	require.NotEmpty(t, acked)
	for _, id := range acked {
		require.True(t, there[id], id)
	}
}
