package appstate

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// seekWorkers sets found if a subscription to the app's pre-events is in the app's queue group.
func (a *Apps) seekWorkers(ctx context.Context, m room.Manifest, found *bool) error {
	for _, i := range m.Implements {
		if *found {
			break
		}
		if !i.Pre() {
			continue
		}
		var err error
		if *found, err = bus.HasQueue(ctx, a.cfg.Conn, subjects.Pre(i, m.ID), subjects.AppQueue(m.ID)); err != nil {
			return err
		}
	}
	return nil
}

// postFigures sums the figures that an app's workers report for their post-events.
func (a *Apps) postFigures(ctx context.Context, app string) (map[room.Interface]room.PostFigures, error) {
	stats, err := bus.StatsFrom(ctx, a.cfg.Conn, a.inbox(app), app)
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

// workers returns the live workers of an app, or of all apps if it is empty.
func (a *Apps) workers(ctx context.Context, app string) ([]micro.ServiceIdentity, error) {
	if app != "" {
		return bus.PingFrom(ctx, a.cfg.Conn, a.inbox(app), app)
	}
	var mu sync.Mutex
	var all []micro.ServiceIdentity
	asking, ctx := errgroup.WithContext(ctx)
	ping := func(inbox, app string) {
		asking.Go(func() error {
			found, err := bus.PingFrom(ctx, a.cfg.Conn, inbox, app)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found...)
			return err
		})
	}
	ping("", "")
	for _, m := range a.cfg.Registry.List() {
		if inbox := a.inbox(m.ID); inbox != "" { // a worker in another account can reply to no other inbox
			ping(inbox, m.ID)
		}
	}
	err := asking.Wait()
	return all, err
}

// inbox returns the prefix of the inbox for the replies of an app's workers, empty if they are in the account
// of the service.
func (a *Apps) inbox(app string) string {
	if r, _ := a.cfg.Registry.Get(app); r.Account == "" {
		return ""
	}
	return subjects.VerdictInboxOf(app)
}
