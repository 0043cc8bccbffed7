package janitor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Config configures a janitor. Every field is required. The functions must be safe for concurrent
// calls.
type Config struct {
	JetStream jetstream.JetStream
	Events    jetstream.Stream // the stream of post-events
	Replays   jetstream.Stream // the stream of dead letters to deliver again
	// RetainDeleted is the minimum time for which the history of a deleted room stays in the
	// stream; negative: for ever.
	RetainDeleted time.Duration
	Rooms         Rooms
	// IsRegistered reports whether the app is registered, once the registry is in sync. It returns
	// an error if the context ends first.
	IsRegistered func(ctx context.Context, app string) (bool, error)
	// IsUnavailable reports whether NATS or JetStream is unavailable. That is logged elsewhere, so
	// the janitor does not log errors that follow from it.
	IsUnavailable func() bool
	Logger        *slog.Logger
}

// Rooms are the deleted rooms with history in the stream. Calls come one after the other.
type Rooms interface {
	// Due returns the oldest deletion: the room and the sequence of the event. It reports whether
	// that was before the time and every event up to it may be removed, as floor has passed it.
	Due(before time.Time, floor uint64) (roomID string, seq uint64, due bool)
	// Forget drops a room that was deleted at the sequence and whose history has left the stream.
	Forget(roomID string, seq uint64)
}

// Janitor runs the retention and writes dead letters.
type Janitor struct{ cfg Config }

// New returns a janitor that does nothing before Run.
func New(cfg Config) *Janitor { return &Janitor{cfg} }

// Run works until the context ends.
func (j *Janitor) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { (&retention{cfg: j.cfg}).run(ctx) })
	running.Go(func() { (&deadLetterer{cfg: j.cfg}).run(ctx) })
	running.Wait()
}
