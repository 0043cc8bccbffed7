package rejections

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// maxQueued bounds the rejections that wait to be written. Most take a few hundred bytes. None
// takes more than room.MaxRejectedRequest and the answers of the apps.
const maxQueued = 1024

// Config configures a recorder. Every field is required.
type Config struct {
	To      Publisher
	AckWait time.Duration // how long one publish may take
	// Writers is the number of rejections that are written concurrently. With a single writer each
	// rejection waits for JetStream's ack of the one before.
	Writers int
	Logger  *slog.Logger
}

// Publisher is the part of JetStream that the recorder uses.
type Publisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// Recorder writes rejections to their stream in the background, on a best-effort basis: recording
// one neither waits nor fails. Rejections that cannot be queued or written are counted. It is safe
// for concurrent use.
type Recorder struct {
	cfg    Config
	queue  chan recording
	losses losses

	last    context.Context // canceled by Finish
	end     context.CancelFunc
	written chan struct{} // closed when Run has written the queue
}

type recording struct {
	rejection   room.Rejection
	traceParent string
}

// New returns a recorder that writes nothing before Run.
func New(cfg Config) *Recorder {
	r := &Recorder{cfg: cfg, queue: make(chan recording, maxQueued), losses: losses{log: cfg.Logger}, written: make(chan struct{})}
	r.last, r.end = context.WithCancel(context.Background())
	return r
}

// Rejected records a rejection if the error makes the command one, and returns the error.
func (r *Recorder) Rejected(c rules.Command, err error) error {
	var e *room.Error
	if errors.As(err, &e) {
		if rejection, ok := rules.Reject(c, e); ok {
			r.record(rejection, c.TraceParent)
		}
	}
	return err
}

func (r *Recorder) record(rejection room.Rejection, traceParent string) {
	select {
	case r.queue <- recording{rejection, traceParent}:
	default:
		r.losses.dropped.Add(1)
	}
}

// Run writes what is recorded until the context ends or Finish is called. Then it writes the rest
// of the queue.
func (r *Recorder) Run(ctx context.Context) {
	defer close(r.written)
	var writing sync.WaitGroup
	for range r.cfg.Writers {
		writing.Go(func() {
			for r.last.Err() == nil && ctx.Err() == nil {
				select {
				case next := <-r.queue:
					r.losses.note(r.write(ctx, next), r.queue)
				case <-r.last.Done():
				case <-ctx.Done():
				}
			}
		})
	}
	writing.Wait()
	r.drain(ctx)
}

// Finish returns when the queue is written, a write has failed, or the context ends.
func (r *Recorder) Finish(ctx context.Context) {
	r.end()
	select {
	case <-r.written:
	case <-ctx.Done():
	}
}

// Dropped returns the number of rejections that were not written.
func (r *Recorder) Dropped() uint64 { return r.losses.dropped.Load() }

// drain writes the queue up to the first failure: a stop must not wait for each rejection if
// JetStream does not answer.
func (r *Recorder) drain(ctx context.Context) {
	for len(r.queue) > 0 {
		if r.write(ctx, <-r.queue) != nil {
			r.losses.dropped.Add(uint64(len(r.queue)))
			break
		}
	}
	r.losses.logRest()
}

func (r *Recorder) write(ctx context.Context, next recording) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.AckWait)
	defer cancel()
	subject, headers, body, err := subjects.EncodeRejection(next.rejection, next.traceParent)
	if err == nil {
		msg := &nats.Msg{Subject: subject, Header: headers, Data: body}
		_, err = r.cfg.To.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	}
	if err != nil {
		r.losses.dropped.Add(1)
	}
	return err
}
