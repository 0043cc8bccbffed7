package roomsvc

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/roombus/roombus/condition"
	"github.com/roombus/roombus/room"
)

func (s *Service) registerApp(ctx context.Context, m room.Manifest) (any, error) {
	if _, err := condition.CompileAll(m); err != nil {
		return nil, err
	}
	var changed bool
	stored, err := s.changeManifest(ctx, m.ID, func(was *room.Registration) (next room.Registration, _ bool, err error) {
		next, changed, err = registered(was, m)
		return next, changed, err
	})
	if err != nil {
		return nil, err
	}
	if changed { // workers register at every start and after every reconnect
		s.log.Info("app registered", "app", m.ID, "version", stored.Version)
	}
	return stored.Effective(), nil
}

// registered returns an app's registration after a worker has registered a manifest. A version
// later than all before replaces the one in force. Any other version leaves it. One version cannot
// have two manifests.
func registered(was *room.Registration, m room.Manifest) (next room.Registration, changed bool, err error) {
	if was == nil {
		return room.Registration{Manifest: m}, true, nil
	}
	switch v := semver.MustParse(m.Version); { // validated before
	case v.GreaterThan(semver.MustParse(was.Latest())):
		return was.Replace(m), true, nil
	case !v.Equal(semver.MustParse(was.Version)):
		return *was, false, nil
	}
	if d := was.Differences(m); len(d) > 0 {
		return *was, false, room.Errorf(room.CodeInvalidRequest,
			"version %s of app %s is registered with another manifest (%s): give this one a later version, or remove the app first",
			m.Version, m.ID, strings.Join(d, ", "))
	}
	return *was, false, nil
}

// changeManifest changes the manifest of an app that is in force. The app's consumers get the
// filters for it before it takes effect, so that no event is skipped from then on, and lose other
// filters afterwards.
func (s *Service) changeManifest(ctx context.Context, id string, revised reviseFunc) (room.Registration, error) {
	prepared := func(was *room.Registration) (room.Registration, bool, error) {
		next, changed, err := revised(was)
		if err == nil {
			next = forgetOldest(next, eventBounds(int(s.nc.MaxPayload())).MaxBytes)
			err = s.prepareDurables(ctx, next.Manifest, was)
		}
		return next, changed, err
	}
	return s.changeApp(ctx, id, prepared, func(stored room.Registration, revision uint64) error {
		return s.settleDurables(ctx, stored.Manifest, revision)
	})
}

// forgetOldest drops the remembered manifests that were in force longest ago until the registration
// fits into a message.
func forgetOldest(r room.Registration, maxBytes int) room.Registration {
	for len(r.Remembered) > 0 {
		if data, err := json.Marshal(r); err != nil || len(data) <= maxBytes {
			break
		}
		r.Remembered = r.Remembered[:len(r.Remembered)-1]
	}
	return r
}

func (s *Service) enableApp(ctx context.Context, r room.AppRequest) (any, error) {
	return s.decide(ctx, r.ID, func(o *room.Settings) { o.Enabled = new(true) })
}

func (s *Service) disableApp(ctx context.Context, r room.AppRequest) (any, error) {
	return s.decide(ctx, r.ID, func(o *room.Settings) { o.Enabled = new(false) })
}

func (s *Service) shadowApp(ctx context.Context, r room.ShadowRequest) (any, error) {
	return s.decide(ctx, r.ID, func(o *room.Settings) { o.Shadow = r.Shadow })
}

// decide stores a decision of an operator about an app.
func (s *Service) decide(ctx context.Context, id string, set func(*room.Settings)) (any, error) {
	if err := room.ValidateToken("id", id); err != nil {
		return nil, err
	}
	stored, err := s.changeApp(ctx, id, func(was *room.Registration) (room.Registration, bool, error) {
		if was == nil {
			return room.Registration{}, false, noApp(id)
		}
		next := *was
		set(&next.Operator)
		return next, true, nil
	}, func(room.Registration, uint64) error { return nil })
	if err != nil {
		return nil, err
	}
	m := stored.Effective()
	s.log.Info("app settings changed by an operator", "app", id, "enabled", m.IsEnabled(), "shadow", m.Shadow)
	return m, nil
}

// removeApp removes an app: it is not asked any more, and its consumers are deleted with their
// pending events. The consumers are deleted first, so that a removal that failed half way can be
// repeated.
func (s *Service) removeApp(ctx context.Context, r room.AppRequest) (any, error) {
	if err := room.ValidateToken("id", r.ID); err != nil {
		return nil, err
	}
	was, revision, err := s.apps.remove(ctx, r.ID, func() error { return s.deleteDurables(ctx, r.ID) })
	if err != nil {
		return nil, err
	}
	s.log.Info("app removed", "app", r.ID)
	s.keepRecord(ctx)
	s.awaitReplicas(ctx, revision)
	if was == nil { // the stored registration was unusable
		return room.Manifest{ID: r.ID}, nil
	}
	return was.Effective(), nil
}

// changeApp changes an app's registration, and returns when every service knows it.
func (s *Service) changeApp(ctx context.Context, id string, revised reviseFunc, settled settleFunc) (room.Registration, error) {
	stored, revision, err := s.apps.change(ctx, id, revised, settled)
	if err != nil {
		return stored, err
	}
	s.keepRecord(ctx)
	s.announceAlive(id)
	s.awaitReplicas(ctx, revision)
	return stored, nil
}

func noApp(id string) *room.Error { return room.Errorf(room.CodeAppNotFound, "there is no app %q", id) }
