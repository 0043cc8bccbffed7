package roomsvc

import (
	"context"

	"github.com/roombus/roombus/condition"
	"github.com/roombus/roombus/room"
)

// rollbackApp puts a remembered manifest in force again. The app's consumers keep their positions.
func (s *Service) rollbackApp(ctx context.Context, r room.RollbackRequest) (any, error) {
	var from string
	stored, err := s.changeManifest(ctx, r.ID, func(was *room.Registration) (room.Registration, bool, error) {
		if was == nil {
			return room.Registration{}, false, noApp(r.ID)
		}
		from = was.Version
		next, changed, err := was.RollBack(r.Version)
		if err == nil && changed {
			_, err = condition.CompileAll(next.Manifest)
		}
		return next, changed, err
	})
	if err != nil {
		return nil, err
	}
	s.log.Info("app rolled back", "app", r.ID, "version", stored.Version, "from", from)
	return stored.Effective(), nil
}
