package registry

import (
	"context"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// checkInterval is the interval between checks that the bucket is the one that was read.
const checkInterval = 5 * time.Second

// check checks the bucket periodically until the context ends. The watch does not report that the
// bucket was deleted, or that a server came back without it.
func (w *watcher) check(ctx context.Context) {
	for bus.Sleep(ctx, checkInterval) {
		if _, known := w.entries.record(); !known {
			continue // the watch is reading the bucket
		}
		look, cancel := context.WithTimeout(ctx, w.cfg.AckWait)
		bucket, err := bus.StreamInfo(look, w.cfg.JetStream, subjects.AppsStream)
		cancel()
		if err != nil {
			continue // the next check may succeed
		}
		if w.entries.differs(bucket) {
			w.readAgain()
			continue
		}
		w.record.keep(ctx)
	}
}
