package appstate

import (
	"slices"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
	"github.com/roombus/roombus/subjects"
)

// stateOf returns what the facts say about an app.
func (f facts) stateOf(m room.Manifest) room.AppState {
	queue := f.queues[subjects.Durable(m.ID)]
	state := room.AppState{
		Workers: f.workersOf(m.ID), Replicas: len(f.reports),
		DeadLetters: f.deadLetters[m.ID], Replays: f.replays[m.ID],
	}
	state.Figures, state.Interfaces = f.figures(m)
	state.Unseen = len(state.Workers) == 0 && queue.pulled
	switch {
	case m.HasPost():
		state.Waiting, state.Post = queue.Waiting, f.post
	case queue.Backlog != nil:
		state.Parked = *queue.Backlog
	}
	return state
}

// workersOf returns the live workers of an app, sorted.
func (f facts) workersOf(app string) []room.Worker {
	all := []room.Worker{}
	for _, w := range f.workers {
		if w.Name == app {
			all = append(all, room.Worker{ID: w.ID, Version: w.Version})
		}
	}
	slices.SortFunc(all, room.Worker.Compare)
	return all
}

// figures sums the stats of an app over the replicas: of all interfaces, and of each.
func (f facts) figures(m room.Manifest) (room.Figures, map[room.Interface]room.Figures) {
	all, each := hookstats.NewSum(m), make(map[room.Interface]*hookstats.Sum)
	for _, replica := range f.reports {
		for _, r := range replica.Figures {
			if r.App != m.ID {
				continue
			}
			if each[r.Interface] == nil {
				each[r.Interface] = hookstats.NewSum(m)
			}
			all.Add(r)
			each[r.Interface].Add(r)
		}
	}
	interfaces := make(map[room.Interface]room.Figures, len(each))
	for i, sum := range each {
		interfaces[i] = sum.Figures()
	}
	return all.Figures(), interfaces
}
