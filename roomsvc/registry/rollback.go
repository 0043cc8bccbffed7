package registry

import (
	"context"

	"github.com/roombus/roombus/room"
)

// RollBack puts a remembered manifest in force again, and returns the manifest in force. The app's
// consumers keep their positions.
func (r *Registry) RollBack(ctx context.Context, req room.RollbackRequest) (room.Manifest, error) {
	var from string
	stored, err := r.changeManifest(ctx, req.ID, func(was *room.Registration) (room.Registration, bool, error) {
		if was == nil {
			return room.Registration{}, false, noApp(req.ID)
		}
		from = was.Version
		next, changed, err := was.RollBack(req.Version)
		if err == nil && changed {
			err = compile(next.Manifest)
		}
		return next, changed, err
	})
	if err != nil {
		return room.Manifest{}, err
	}
	r.log.Info("app rolled back", "app", req.ID, "version", stored.Version, "from", from)
	return stored.Effective(), nil
}
