package roomsvc

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
	"github.com/roombus/roombus/subjects"
)

func (s *Service) listApps(ctx context.Context, r room.AppRequest) (any, error) {
	if r.ID == "" {
		all, err := s.appStates(ctx, "", s.registry.List())
		for _, app := range all { // only the state of a single app has them
			app.State.Interfaces = nil
		}
		return all, err
	}
	m, err := s.registry.Manifest(r.ID)
	if err != nil {
		return nil, err
	}
	return s.appStates(ctx, r.ID, []room.Manifest{m})
}

// appInfo waits until the registry is in sync: workers rely on its answer about their app.
func (s *Service) appInfo(ctx context.Context, r room.AppRequest) (any, error) {
	if err := s.registry.AwaitSync(ctx); err != nil {
		return nil, err
	}
	m, err := s.registry.Manifest(r.ID)
	if err != nil {
		return nil, err
	}
	states, err := s.appStates(ctx, r.ID, []room.Manifest{m})
	if err != nil {
		return nil, err
	}
	return states[0], nil
}

// appStates collects the state of apps: the stats of all replicas, the live workers, and the
// backlog. only is the id of a single app, or empty for all.
func (s *Service) appStates(ctx context.Context, only string, manifests []room.Manifest) ([]room.App, error) {
	var reports []replicaReport
	var workers []micro.ServiceIdentity
	var queues map[string]queue
	var letters, replays map[string]uint64
	post := make(map[room.Interface]room.PostFigures)
	all := cmp.Or(only, "*")
	asking, asked := errgroup.WithContext(ctx)
	asking.Go(func() (err error) {
		reports, err = s.replicas.ask(asked, replicaRequest{App: only, Figures: true})
		return err
	})
	asking.Go(func() (err error) {
		workers, err = bus.Ping(asked, s.nc, only)
		return err
	})
	asking.Go(func() (err error) {
		queues, err = s.queues(asked, only)
		return err
	})
	asking.Go(func() (err error) {
		letters, err = s.messagesByApp(asked, subjects.DeadLetters, subjects.DeadOf(all))
		return err
	})
	asking.Go(func() (err error) {
		replays, err = s.messagesByApp(asked, subjects.Replays, subjects.ReplaysOf(all))
		return err
	})
	if only != "" {
		asking.Go(func() (err error) {
			post, err = s.postFigures(asked, only)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, fmt.Errorf("collecting the states of apps: %w", err)
	}
	apps := make([]room.App, 0, len(manifests))
	seeking, seek := errgroup.WithContext(ctx)
	for _, m := range manifests {
		state := stateOf(m, reports)
		for _, w := range workers {
			if w.Name == m.ID {
				state.Workers = append(state.Workers, room.Worker{ID: w.ID, Version: w.Version})
			}
		}
		slices.SortFunc(state.Workers, room.Worker.Compare)
		q := queues[subjects.Durable(m.ID)]
		switch {
		case m.HasPost():
			state.Waiting, state.Post = q.Waiting, post
		case q.Backlog != nil:
			state.Parked = *q.Backlog
		}
		state.DeadLetters, state.Replays = letters[m.ID], replays[m.ID]
		if r, ok := s.registry.Get(m.ID); ok {
			state.Operator, state.Remembered, state.RolledBackFrom = r.Operator, r.Versions(), r.RolledBackFrom
		}
		if len(state.Workers) == 0 {
			state.Unseen = q.pulled
			seeking.Go(func() error { return s.seekWorkers(seek, m, &state.Unseen) })
		}
		apps = append(apps, room.App{Manifest: m, State: &state})
	}
	if err := seeking.Wait(); err != nil {
		return nil, fmt.Errorf("looking for workers of apps: %w", err)
	}
	return apps, nil
}

// seekWorkers sets found if a subscription to the app's pre-events is in the app's queue group.
func (s *Service) seekWorkers(ctx context.Context, m room.Manifest, found *bool) error {
	for _, i := range m.Implements {
		if *found {
			break
		}
		if !i.Pre() {
			continue
		}
		var err error
		if *found, err = bus.HasQueue(ctx, s.nc, subjects.Pre(i, m.ID), subjects.AppQueue(m.ID)); err != nil {
			return err
		}
	}
	return nil
}

// postFigures sums the figures that an app's workers report for their post-events.
func (s *Service) postFigures(ctx context.Context, app string) (map[room.Interface]room.PostFigures, error) {
	stats, err := bus.Stats(ctx, s.nc, app)
	if err != nil {
		return nil, err
	}
	all := make(map[room.Interface]room.PostFigures)
	for _, worker := range stats {
		for _, e := range worker.Endpoints {
			i := room.Interface(e.Name)
			var f room.PostFigures
			if !i.Known() || i.Pre() || json.Unmarshal(e.Data, &f) != nil {
				continue
			}
			sum := all[i]
			sum.Add(f)
			all[i] = sum
		}
	}
	return all, nil
}

// stateOf sums the stats of an app over the replicas.
func stateOf(m room.Manifest, reports []replicaReport) room.AppState {
	all, each := hookstats.NewSum(), make(map[room.Interface]*hookstats.Sum)
	reports = slices.DeleteFunc(slices.Clone(reports), func(r replicaReport) bool { return r.Revision == nil })
	for _, report := range reports {
		for _, f := range report.Figures {
			if f.App != m.ID {
				continue
			}
			if each[f.Interface] == nil {
				each[f.Interface] = hookstats.NewSum()
			}
			all.Add(f)
			each[f.Interface].Add(f)
		}
	}
	state := room.AppState{
		Workers: []room.Worker{}, Replicas: len(reports), Figures: all.Figures(),
		Interfaces: make(map[room.Interface]room.Figures, len(each)),
	}
	for i, s := range each {
		state.Interfaces[i] = s.Figures()
	}
	return state
}
