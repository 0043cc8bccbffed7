package registry

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policy"
	"github.com/roombus/roombus/room"
)

// Register registers an app, or a later version of it, and returns the manifest in force. A version
// that is not later changes nothing. The error is of code invalid_request if the same version is
// registered with another manifest. account is the account that the app registers from: empty if it is
// unknown or that of the service, bus.AnyAccount if it is another one.
func (r *Registry) Register(ctx context.Context, m room.Manifest, account string) (room.Manifest, error) {
	if err := compile(m); err != nil {
		return room.Manifest{}, err
	}
	var changed bool
	stored, err := r.changeManifest(ctx, m.ID, func(was *room.Registration) (next room.Registration, _ bool, err error) {
		next, changed, err = registered(was, m)
		if known := accountAfter(next.Account, account); err == nil && known != next.Account {
			r.log.Info("account of app changed", "app", m.ID, "account", known, "before", next.Account)
			next.Account, changed = known, true
		}
		return next, changed, err
	})
	if err != nil {
		return room.Manifest{}, err
	}
	if changed { // workers register at every start and after every reconnect
		r.log.Info("app registered", "app", m.ID, "version", stored.Version)
	}
	return stored.Effective(), nil
}

// accountAfter returns the account of an app after a registration from another account. A registration
// from an unknown account does not change a known one.
func accountAfter(was, from string) string {
	if from == "" || from == bus.AnyAccount && was != "" {
		return was
	}
	return from
}

// IsAccountOfApp reports whether an app has registered from the account.
func (r *Registry) IsAccountOfApp(account string) bool {
	for _, m := range r.List() {
		if reg, ok := r.Get(m.ID); ok && reg.Account == account {
			return true
		}
	}
	return false
}

// compile checks the conditions and the rules of a manifest.
func compile(m room.Manifest) error {
	if _, err := expression.CompileAll(m); err != nil {
		return err
	}
	_, err := policy.CompileAll(m)
	return err
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
