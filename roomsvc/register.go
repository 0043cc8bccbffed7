package roomsvc

import (
	"context"

	"github.com/roombus/roombus/room"
)

// registerApp makes the app's consumer before the app is known: from then on no event passes
// it by.
func (s *Service) registerApp(ctx context.Context, m room.Manifest) (any, error) {
	known, err := s.apps.read(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	if later(known.manifest.Version, m.Version) {
		return known.manifest, nil
	}
	if err := s.ensureDurable(ctx, m); err != nil {
		return nil, err
	}
	stored, err := s.apps.put(ctx, m)
	if err != nil {
		return nil, err
	}
	s.log.Info("registered", "app", stored.ID, "version", stored.Version, "implements", stored.Implements)
	return stored, nil
}

func (s *Service) listApps(_ context.Context, r room.AppRequest) (any, error) {
	if r.ID == "" {
		return s.apps.list(), nil
	}
	m, err := s.app(r.ID)
	return []room.Manifest{m}, err
}

func (s *Service) appInfo(_ context.Context, r room.AppRequest) (any, error) {
	if err := room.ValidateToken("id", r.ID); err != nil {
		return nil, err
	}
	return s.app(r.ID)
}

func (s *Service) app(id string) (room.Manifest, error) {
	m, ok := s.apps.get(id)
	if !ok {
		return m, room.Errorf(room.CodeAppNotFound, "there is no app %q", id)
	}
	return m, nil
}
