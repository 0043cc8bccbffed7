package registry

import (
	"context"

	"github.com/roombus/roombus/room"
)

// change changes an app's registration, and returns when every service knows it.
func (r *Registry) change(ctx context.Context, id string, revised reviseFunc, settled settleFunc) (room.Registration, error) {
	stored, revision, err := r.bucket.change(ctx, id, revised, settled)
	if err != nil {
		return stored, err
	}
	r.record.keep(ctx)
	r.cfg.Replicas.AnnounceAlive(id)
	r.cfg.Replicas.Await(ctx, revision)
	return stored, nil
}

// changeManifest changes the manifest of an app that is in force. The app's consumers get the
// filters for it before it takes effect, so that no event is skipped from then on, and lose other
// filters afterwards.
func (r *Registry) changeManifest(ctx context.Context, id string, revised reviseFunc) (room.Registration, error) {
	prepared := func(was *room.Registration) (room.Registration, bool, error) {
		next, changed, err := revised(was)
		if err == nil {
			next = forgetOldest(next, r.cfg.MaxBytes())
			err = r.consumers.prepare(ctx, next.Manifest, was)
		}
		return next, changed, err
	}
	return r.change(ctx, id, prepared, func(stored room.Registration, revision uint64) error {
		return r.consumers.settle(ctx, stored.Manifest, revision)
	})
}
