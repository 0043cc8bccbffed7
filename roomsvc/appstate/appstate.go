package appstate

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// Config configures Apps. Every field is required.
type Config struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	Events    jetstream.Stream // the stream of post-events, with the consumers of apps
	Registry  Registry
	Hooks     Hooks
}

// Registry has the registrations of apps, as this replica knows them.
type Registry interface {
	// AwaitSync returns when the registry is in sync, or an error of code unavailable if the context
	// ends first.
	AwaitSync(ctx context.Context) error
	// CatchUp waits for the revision of the bucket until the context ends, and returns the revision
	// that it has reached; 0: unknown.
	CatchUp(ctx context.Context, revision uint64) (synced uint64)
	// List returns the manifests in force of all apps, sorted.
	List() []room.Manifest
	// Manifest returns the manifest in force of an app, or an error of code app_not_found.
	Manifest(id string) (room.Manifest, error)
	// Get returns a registered app.
	Get(id string) (room.Registration, bool)
}

// Hooks ask the apps at this replica.
type Hooks interface {
	// Revive lets the next command probe the app, since the app has shown that it is alive.
	Revive(app string)
	// Reports returns the stats of an app, or of all apps if it is empty.
	Reports(app string) []hookstats.Report
}

// Apps answers requests for the state of apps.
type Apps struct{ cfg Config }

// New returns Apps.
func New(cfg Config) *Apps { return &Apps{cfg} }

// List returns the state of all apps, or of a single one.
func (a *Apps) List(ctx context.Context, r room.AppRequest) ([]room.App, error) {
	if r.ID == "" {
		all, err := a.states(ctx, "", a.cfg.Registry.List())
		for _, app := range all { // only the state of a single app has them
			app.State.Interfaces = nil
		}
		return all, err
	}
	m, err := a.cfg.Registry.Manifest(r.ID)
	if err != nil {
		return nil, err
	}
	return a.states(ctx, r.ID, []room.Manifest{m})
}

// Info returns the state of an app. It waits until the registry is in sync: workers rely on its
// answer about their app.
func (a *Apps) Info(ctx context.Context, r room.AppRequest) (room.App, error) {
	if err := a.cfg.Registry.AwaitSync(ctx); err != nil {
		return room.App{}, err
	}
	m, err := a.cfg.Registry.Manifest(r.ID)
	if err != nil {
		return room.App{}, err
	}
	states, err := a.states(ctx, r.ID, []room.Manifest{m})
	if err != nil {
		return room.App{}, err
	}
	return states[0], nil
}

// states returns the apps with their states. only is the id of a single app, or empty for all.
func (a *Apps) states(ctx context.Context, only string, manifests []room.Manifest) ([]room.App, error) {
	known, err := a.collect(ctx, only)
	if err != nil {
		return nil, fmt.Errorf("collecting the states of apps: %w", err)
	}
	apps := make([]room.App, 0, len(manifests))
	seeking, seek := errgroup.WithContext(ctx)
	for _, m := range manifests {
		state := known.stateOf(m)
		if r, ok := a.cfg.Registry.Get(m.ID); ok {
			state.Operator, state.Remembered, state.RolledBackFrom = r.Operator, r.Versions(), r.RolledBackFrom
		}
		if len(state.Workers) == 0 {
			seeking.Go(func() error { return a.seekWorkers(seek, m, &state.Unseen) })
		}
		apps = append(apps, room.App{Manifest: m, State: &state})
	}
	if err := seeking.Wait(); err != nil {
		return nil, fmt.Errorf("looking for workers of apps: %w", err)
	}
	return apps, nil
}
