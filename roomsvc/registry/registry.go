package registry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Config configures a registry. Every field but NoProvision is required.
type Config struct {
	JetStream jetstream.JetStream
	// Events is the stream of events. It has a consumer for each app with post-interfaces, and the
	// record of the registry in its metadata.
	Events jetstream.Stream
	// Replays is the stream of dead letters to deliver again. It has a consumer for each such app,
	// too.
	Replays jetstream.Stream
	// AckWait is how long one request to JetStream may take.
	AckWait time.Duration
	// NoProvision says that the service may not change streams. Then there is no record.
	NoProvision bool
	// MaxBytes returns the maximum size of a registration or a document, so that it fits into a
	// message with what is sent beside it.
	MaxBytes func() int
	// IsUnavailable reports whether NATS or JetStream is unavailable. That is logged elsewhere, so
	// errors that follow from it are not logged.
	IsUnavailable func() bool
	// CheckLosses returns an error if a stream has lost its content.
	CheckLosses func(context.Context) error
	// EnsureBucket creates the bucket if it is missing.
	EnsureBucket func(context.Context) error
	Replicas     Replicas
	// Changed is called with all registrations and documents after each change, and by Open. Calls
	// come one after the other and must not call the registry. An unchanged registration or document
	// is the same pointer as before.
	Changed func(registered []*room.Registration, params expression.Params)
	Logger  *slog.Logger
}

// Replicas are all replicas of the service, each with a registry of its own.
type Replicas interface {
	// AnnounceAlive tells every replica that the app has registered.
	AnnounceAlive(app string)
	// Await returns when the registries of all replicas that answer have caught up with the
	// revision of the bucket, or when the wait takes too long.
	Await(ctx context.Context, revision uint64)
}

// Registry has the registrations of apps. Params has the documents. It is safe for concurrent use.
type Registry struct {
	cfg       Config
	log       *slog.Logger
	entries   *entries
	bucket    *bucket
	consumers *consumers
	record    *recordKeeper
	watcher   *watcher
}

// Open opens the bucket. The registry has no apps until Run has read the bucket.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	kv, err := cfg.JetStream.KeyValue(ctx, subjects.AppsBucket)
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", subjects.AppsBucket, err)
	}
	known := newEntries(cfg.Logger, cfg.Changed)
	r := &Registry{cfg: cfg, log: cfg.Logger, entries: known}
	r.bucket = &bucket{kv: kv, entries: known}
	r.consumers = &consumers{cfg: cfg, entries: known}
	r.record = &recordKeeper{cfg: cfg, entries: known}
	r.watcher = newWatcher(cfg, r.bucket, r.record)
	return r, nil
}

// Run keeps the registry in sync with the bucket until the context ends. From the loss of the
// connection until the bucket has been read again the registry is not in sync, since operators may
// have changed any registration meanwhile.
func (r *Registry) Run(ctx context.Context) {
	var checking sync.WaitGroup
	checking.Go(func() { r.watcher.check(ctx) })
	defer checking.Wait()
	r.watcher.run(ctx)
}

// AwaitSync returns when the registry is in sync with the bucket. If the context ends first it
// returns an error of code unavailable.
func (r *Registry) AwaitSync(ctx context.Context) error { return r.entries.awaitSync(ctx) }

// CatchUp waits until the registry is in sync up to the revision of the bucket; 0: it does not
// wait. If the context ends before the revision has come, the watch of the bucket may have failed
// with its server. Then Run reads the bucket again. CatchUp returns the revision up to which the
// registry is in sync, 0 if it may have missed a change.
func (r *Registry) CatchUp(ctx context.Context, revision uint64) (synced uint64) {
	if revision > 0 && r.entries.awaitRevision(ctx, revision) != nil && r.watcher.received.Load() < revision {
		r.watcher.readAgain()
	}
	return r.entries.syncedRevision()
}

// List returns the manifests in force of all apps, sorted.
func (r *Registry) List() []room.Manifest { return r.entries.list() }

// Get returns a registered app.
func (r *Registry) Get(id string) (room.Registration, bool) {
	e := r.entries.get(id)
	if e.registration == nil {
		return room.Registration{}, false
	}
	return *e.registration, true
}

// Manifest returns the manifest in force of an app. The error is of code app_not_found if the app
// is not registered. It says whether the app was removed or never registered.
func (r *Registry) Manifest(id string) (room.Manifest, error) {
	if err := room.ValidateToken("id", id); err != nil {
		return room.Manifest{}, err
	}
	e := r.entries.get(id)
	if e.registration == nil {
		err := noApp(id)
		err.NeverRegistered = !e.gone
		return room.Manifest{}, err
	}
	return e.registration.Effective(), nil
}

// KeepRecord records the known revision of the bucket, unless another service has recorded a later
// one. It logs an error; Run tries again.
func (r *Registry) KeepRecord(ctx context.Context) { r.record.keep(ctx) }

// Accept records the registry as it is, also if it is older than recorded.
func (r *Registry) Accept(ctx context.Context) error { return r.record.accept(ctx) }

// MendConsumers recreates the missing consumers of registered apps. The caller calls it
// periodically, since it also remembers the ack floors from which consumers are recreated.
func (r *Registry) MendConsumers(ctx context.Context) { r.consumers.mend(ctx) }

// Remade counts the missing consumers that were recreated.
func (r *Registry) Remade() uint64 { return r.consumers.remade.Load() }

func noApp(id string) *room.Error { return room.Errorf(room.CodeAppNotFound, "there is no app %q", id) }
