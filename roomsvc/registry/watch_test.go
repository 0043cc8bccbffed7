package registry

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// A revision that has come, and is still being decoded, is no reason to read the bucket again.
func TestCatchUp_ReceivedRevisionIsNotReadAgain(t *testing.T) {
	t.Parallel()
	e := newEntries(slog.New(slog.DiscardHandler), func([]*room.Registration, expression.Params) {})
	r := &Registry{entries: e, watcher: newWatcher(Config{}, &bucket{entries: e}, nil)}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.watcher.received.Store(7)
	r.CatchUp(ended, 7)
	assert.Empty(t, r.watcher.resync)
	r.CatchUp(ended, 8)
	assert.Len(t, r.watcher.resync, 1)
}
