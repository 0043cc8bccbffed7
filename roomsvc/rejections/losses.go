package rejections

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

var errQueueFull = errors.New("rejections came faster than they could be written")

// losses are the rejections that were not written.
type losses struct {
	dropped atomic.Uint64
	log     *slog.Logger

	// State of the log lines.
	mu     sync.Mutex
	outage bus.Outage
	before uint64 // dropped when the last outage was logged as ended
	seen   uint64 // dropped at the last check
}

// note logs when rejections begin to be lost. It logs how many were lost once one has been written
// and the queue is empty. err is the error of the last write.
func (l *losses) note(err error, queue <-chan recording) {
	l.mu.Lock()
	defer l.mu.Unlock()
	dropped := l.dropped.Load()
	lost := dropped - l.before
	if dropped > l.seen && l.outage.Failed(time.Now()) {
		why := err
		if why == nil {
			why = errQueueFull
		}
		l.log.Warn("rejections are being lost", "stream", subjects.Rejections, "lost", lost, "error", why)
	}
	l.seen = dropped
	if err != nil || len(queue) > 0 {
		return
	}
	if lasted, log := l.outage.Ended(time.Now()); log {
		l.log.Info("rejections are recorded again", "stream", subjects.Rejections, "lost", lost, "outage", lasted.Round(time.Millisecond))
		l.before += lost
	}
}

// logRest logs the losses that no line has reported as over, at the end.
func (l *losses) logRest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lost := l.dropped.Load() - l.before; lost > 0 {
		l.log.Warn("rejections were lost", "lost", lost)
	}
}
