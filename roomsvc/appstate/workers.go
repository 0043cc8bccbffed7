package appstate

import (
	"context"
	"encoding/json"

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

// inbox returns the prefix of the inbox for the replies of an app's workers, or of those of all apps if it
// is empty. Workers in the account of the service can reply to each.
func (a *Apps) inbox(app string) string {
	for _, m := range a.cfg.Registry.List() {
		if app != "" && m.ID != app {
			continue
		}
		if r, _ := a.cfg.Registry.Get(m.ID); r.Account != "" {
			return subjects.InboxOf(r.Account)
		}
	}
	return ""
}
