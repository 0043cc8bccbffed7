package appstate

import (
	"cmp"
	"context"
	"slices"

	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// facts is what is known of all apps, or of a single one.
type facts struct {
	reports     []ReplicaReport // of the replicas that answered
	workers     []micro.ServiceIdentity
	queues      map[string]queue                    // by durable
	deadLetters map[string]uint64                   // by app
	replays     map[string]uint64                   // by app
	post        map[room.Interface]room.PostFigures // of a single app
}

// collect asks for all facts at the same time. only is the id of a single app, or empty for all.
func (a *Apps) collect(ctx context.Context, only string) (facts, error) {
	var known facts
	all := cmp.Or(only, "*")
	asking, ctx := errgroup.WithContext(ctx)
	asking.Go(func() (err error) {
		known.reports, err = askReplicas(ctx, a.cfg.Conn, ReplicaRequest{App: only, Figures: true})
		return err
	})
	asking.Go(func() (err error) {
		known.workers, err = a.workers(ctx, only)
		return err
	})
	asking.Go(func() (err error) {
		known.queues, err = a.queues(ctx, only)
		return err
	})
	asking.Go(func() (err error) {
		known.deadLetters, err = a.messagesByApp(ctx, subjects.DeadLetters, subjects.DeadOf(all))
		return err
	})
	asking.Go(func() (err error) {
		known.replays, err = a.messagesByApp(ctx, subjects.Replays, subjects.ReplaysOf(all))
		return err
	})
	if only != "" {
		asking.Go(func() (err error) {
			known.post, err = a.postFigures(ctx, only)
			return err
		})
	}
	err := asking.Wait()
	known.reports = slices.DeleteFunc(known.reports, func(r ReplicaReport) bool { return r.Revision == nil })
	return known, err
}
