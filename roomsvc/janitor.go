package roomsvc

import (
	"context"

	"github.com/roombus/roombus/roomsvc/janitor"
)

// newJanitor returns the janitor of this service, once its streams are open.
func (s *Service) newJanitor() *janitor.Janitor {
	return janitor.New(janitor.Config{
		JetStream: s.js, Events: s.streams.Events(), Replays: s.streams.Replays(), RetainDeleted: *s.cfg.RetainDeleted,
		Rooms: s.projection, IsRegistered: s.isRegistered, IsUnavailable: s.health.IsUnavailable,
		Logger: s.cfg.Logger,
	})
}

// isRegistered reports whether the app is registered, once the registry is in sync. If the context
// ends first it returns an error of code unavailable.
func (s *Service) isRegistered(ctx context.Context, app string) (bool, error) {
	if err := s.registry.AwaitSync(ctx); err != nil {
		return false, err
	}
	_, ok := s.registry.Get(app)
	return ok, nil
}
