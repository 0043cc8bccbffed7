package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/room"
)

// inParallel asks each app in its own goroutine, for protocols that only know one request and its
// reply.
func inParallel(apps int, ask func(ctx context.Context, n int, body []byte) ([]byte, error)) Gather {
	return func(ctx context.Context, body []byte) ([]room.Verdict, error) {
		verdicts := make([]room.Verdict, apps)
		group, ctx := errgroup.WithContext(ctx)
		for n := range verdicts {
			group.Go(func() error {
				reply, err := ask(ctx, n, body)
				if err == nil {
					verdicts[n], err = verdict(reply)
				}
				return err
			})
		}
		return verdicts, group.Wait()
	}
}
