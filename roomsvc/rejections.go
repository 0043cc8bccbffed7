package roomsvc

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// writers is the number of rejections that are written concurrently. With a single writer each
// rejection would wait for JetStream's ack of the one before.
const writers = 16

// maxQueued bounds the rejections that wait to be written. Most take a few hundred bytes. None
// takes more than room.MaxRejectedRequest and the answers of the apps.
const maxQueued = 1024

var errQueueFull = errors.New("rejections came faster than they could be written")

// rejected records a rejection if the error makes the command one, and returns the error.
func (s *Service) rejected(c rules.Command, err error) error {
	var e *room.Error
	if errors.As(err, &e) {
		if r, ok := rules.Reject(c, e); ok {
			s.recorder.record(r, c.TraceParent)
		}
	}
	return err
}

// publisher is the part of JetStream that the recorder uses.
type publisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// recorder writes rejections to their stream in the background, on a best-effort basis: recording
// one neither waits nor fails. Rejections that cannot be queued or written are counted.
type recorder struct {
	to      publisher
	ackWait time.Duration
	log     *slog.Logger
	writers int
	queue   chan recording
	dropped atomic.Uint64

	last    context.Context // canceled by finish
	end     context.CancelFunc
	written chan struct{} // closed when run has written the queue

	// State of the log lines.
	mu     sync.Mutex
	outage bus.Outage
	before uint64 // dropped when the last outage was logged as ended
	seen   uint64 // dropped at the last check
}

type recording struct {
	rejection   room.Rejection
	traceParent string
}

func newRecorder(to publisher, ackWait time.Duration, writers int, log *slog.Logger) *recorder {
	r := &recorder{to: to, ackWait: ackWait, writers: writers, log: log, queue: make(chan recording, maxQueued), written: make(chan struct{})}
	r.last, r.end = context.WithCancel(context.Background())
	return r
}

func (r *recorder) record(rejection room.Rejection, traceParent string) {
	select {
	case r.queue <- recording{rejection, traceParent}:
	default:
		r.dropped.Add(1)
	}
}

// run writes what is recorded until the context ends or finish is called. Then it writes the rest
// of the queue.
func (r *recorder) run(ctx context.Context) {
	defer close(r.written)
	var writing sync.WaitGroup
	for range r.writers {
		writing.Go(func() {
			for r.last.Err() == nil && ctx.Err() == nil {
				select {
				case next := <-r.queue:
					r.logLosses(r.write(ctx, next))
				case <-r.last.Done():
				case <-ctx.Done():
				}
			}
		})
	}
	writing.Wait()
	r.drain(ctx)
}

// finish returns when the queue is written, a write has failed, or the context ends.
func (r *recorder) finish(ctx context.Context) {
	r.end()
	select {
	case <-r.written:
	case <-ctx.Done():
	}
}

// drain writes the queue up to the first failure: a stop must not wait for each rejection if
// JetStream does not answer.
func (r *recorder) drain(ctx context.Context) {
	for len(r.queue) > 0 {
		if r.write(ctx, <-r.queue) != nil {
			r.dropped.Add(uint64(len(r.queue)))
			break
		}
	}
	if lost := r.dropped.Load() - r.before; lost > 0 {
		r.log.Warn("rejections were lost", "lost", lost)
	}
}

func (r *recorder) write(ctx context.Context, next recording) error {
	ctx, cancel := context.WithTimeout(ctx, r.ackWait)
	defer cancel()
	subject, headers, body, err := subjects.EncodeRejection(next.rejection, next.traceParent)
	if err == nil {
		msg := &nats.Msg{Subject: subject, Header: headers, Data: body}
		_, err = r.to.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	}
	if err != nil {
		r.dropped.Add(1)
	}
	return err
}

// logLosses logs when rejections begin to be lost. It logs how many were lost once one has been
// written and the queue is empty.
func (r *recorder) logLosses(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dropped := r.dropped.Load()
	lost := dropped - r.before
	if dropped > r.seen && r.outage.Failed(time.Now()) {
		why := err
		if why == nil {
			why = errQueueFull
		}
		r.log.Warn("rejections are being lost", "stream", subjects.Rejections, "lost", lost, "error", why)
	}
	r.seen = dropped
	if err != nil || len(r.queue) > 0 {
		return
	}
	if lasted, log := r.outage.Ended(time.Now()); log {
		r.log.Info("rejections are recorded again", "stream", subjects.Rejections, "lost", lost, "outage", lasted.Round(time.Millisecond))
		r.before += lost
	}
}
