package registry

import (
	"context"

	"github.com/roombus/roombus/room"
)

// Remove removes an app: it is not asked any more, and its consumers are deleted with their pending
// events. The consumers are deleted first, so that a removal that failed half way can be repeated.
// It returns the manifest that was in force. The error is of code app_not_found if the app is not
// registered.
func (r *Registry) Remove(ctx context.Context, req room.AppRequest) (room.Manifest, error) {
	if err := room.ValidateToken("id", req.ID); err != nil {
		return room.Manifest{}, err
	}
	was, revision, err := r.bucket.remove(ctx, req.ID, noApp(req.ID), func() error { return r.consumers.delete(ctx, req.ID) })
	if err != nil {
		return room.Manifest{}, err
	}
	r.log.Info("app removed", "app", req.ID)
	r.record.keep(ctx)
	r.cfg.Replicas.Await(ctx, revision)
	removed := was.registration()
	if removed == nil { // the stored registration was unusable
		return room.Manifest{ID: req.ID}, nil
	}
	return removed.Effective(), nil
}
