package streams

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/internal/logs"
)

// Config configures the streams of a service. Compare and Apply need Conn, JetStream, Snapshots and
// Copies only.
type Config struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	Snapshots Snapshots
	// Copies is the required number of copies of each stream. For Compare and Apply, 0 stands for
	// the number of copies of the stream of events, or 1.
	Copies int
	// NoProvision says that an operator creates and changes the streams. Then a missing stream is an
	// error.
	NoProvision bool
	// Batches says that the stream of events should allow atomic batches.
	Batches bool
	// NewEvents and NewRegistry allow to begin without a stream of events, and without a registry of
	// apps, that is lost.
	NewEvents, NewRegistry bool
	// AckWait is how long one request of Check to JetStream may take.
	AckWait time.Duration
	Logger  *slog.Logger
}

// Snapshots are the stored snapshots of the rooms.
type Snapshots interface {
	// End returns the sequence of the stream of events up to which the current snapshot goes; 0 if
	// there is none.
	End(context.Context) (uint64, error)
	// Discard removes every snapshot.
	Discard(context.Context) error
}

// Streams are the streams of a service. Provision must have returned before Check and the methods
// that return what it found. Provision and Check must not be called concurrently; all else may be.
type Streams struct {
	cfg    Config
	log    *slog.Logger
	losses losses

	events, replays jetstream.Stream

	misconfigured atomic.Uint64
	findings      logs.Findings
}

// New returns the streams. Nothing is done before a method is called.
func New(cfg Config) *Streams {
	return &Streams{cfg: cfg, log: cfg.Logger, losses: losses{js: cfg.JetStream, snapshots: cfg.Snapshots}}
}

// Events returns the stream of events, once the streams are provisioned.
func (s *Streams) Events() jetstream.Stream { return s.events }

// Replays returns the stream of dead letters to deliver again, once the streams are provisioned.
func (s *Streams) Replays() jetstream.Stream { return s.replays }

// BatchesAllowed reports whether the stream of events allows atomic batches, once it is provisioned.
func (s *Streams) BatchesAllowed() bool { return s.events.CachedInfo().Config.AllowAtomicPublish }
