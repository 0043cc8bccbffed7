package registry

import (
	"context"

	"github.com/roombus/roombus/room"
)

// Enable stores the decision of an operator that an app is asked. It overrides the manifest, as
// Disable and Shadow do. They return the manifest in force, or an error of code app_not_found.
func (r *Registry) Enable(ctx context.Context, req room.AppRequest) (room.Manifest, error) {
	return r.decide(ctx, req.ID, func(o *room.Settings) { o.Enabled = new(true) })
}

// Disable stores the decision of an operator that an app is not asked.
func (r *Registry) Disable(ctx context.Context, req room.AppRequest) (room.Manifest, error) {
	return r.decide(ctx, req.ID, func(o *room.Settings) { o.Enabled = new(false) })
}

// Shadow stores the decision of an operator whether an app is a shadow. A request without it leaves
// that to the manifest.
func (r *Registry) Shadow(ctx context.Context, req room.ShadowRequest) (room.Manifest, error) {
	return r.decide(ctx, req.ID, func(o *room.Settings) { o.Shadow = req.Shadow })
}

// decide stores a decision of an operator about an app.
func (r *Registry) decide(ctx context.Context, id string, set func(*room.Settings)) (room.Manifest, error) {
	if err := room.ValidateToken("id", id); err != nil {
		return room.Manifest{}, err
	}
	stored, err := r.change(ctx, id, func(was *room.Registration) (room.Registration, bool, error) {
		if was == nil {
			return room.Registration{}, false, noApp(id)
		}
		next := *was
		set(&next.Operator)
		return next, true, nil
	}, func(room.Registration, uint64) error { return nil })
	if err != nil {
		return room.Manifest{}, err
	}
	m := stored.Effective()
	r.log.Info("app settings changed by an operator", "app", id, "enabled", m.IsEnabled(), "shadow", m.Shadow)
	return m, nil
}
