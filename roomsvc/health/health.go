package health

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config configures the health of a service. Every field is required.
type Config struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	// AckWait is how long one check of JetStream may take.
	AckWait time.Duration
	// Rooms returns the rooms in memory. It is called only after the streams are open, since there
	// are none before.
	Rooms func() Rooms
	// AwaitApps returns when the registry of apps is in sync. If the context ends first it returns
	// an error of code unavailable. Only Run calls it.
	AwaitApps func(context.Context) error
	// OnReadiness is called when the readiness changes, by Report and Run.
	OnReadiness func(Readiness)
	Logger      *slog.Logger
}

// Rooms are the rooms in memory, as read from the stream of events. The methods must be safe for
// concurrent calls.
type Rooms interface {
	// Last returns the last sequence read from the stream.
	Last() uint64
	// AwaitSeq returns when the stream has been read up to the sequence. It returns an error if the
	// context ends first.
	AwaitSeq(ctx context.Context, seq uint64) error
	// AtEnd reports whether the stream has no readable message behind the last sequence.
	AtEnd(ctx context.Context) bool
	// MissingEvents returns how many events of live rooms the stream lacks, if that is known.
	MissingEvents(ctx context.Context) (missing uint64, known bool)
}

// Health is the health of a room service. Its methods may be called concurrently, except that one
// goroutine at a time may call Report or Run, and one CheckEvents.
type Health struct {
	outages
	readiness
	events
}

// New returns the health of a service that is starting.
func New(cfg Config) *Health {
	return &Health{
		outages:   outages{cfg: cfg, silent: make(chan struct{}, 1)},
		readiness: readiness{cfg: cfg},
		events:    events{cfg: cfg},
	}
}

// Run checks until the context ends whether the service can commit, and whether a leader that was
// silent answers again. The streams must be open.
func (h *Health) Run(ctx context.Context) {
	var probing sync.WaitGroup
	probing.Go(func() { h.probe(ctx) })
	defer probing.Wait()
	h.watch(ctx)
}
