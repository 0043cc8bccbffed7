package room

import (
	"cmp"
	"slices"
	"strings"
)

// MaxRemembered bounds the number of earlier manifests in a registration.
const MaxRemembered = 10

// Registration is the registry's record of an app: the manifest in force as sent by the app, the settings
// of operators, and earlier manifests. The settings of operators stay in force for new versions, until the
// app is removed.
type Registration struct {
	Manifest
	Operator Settings `json:"operator,omitzero"`
	// Remembered are earlier manifests, each version once, the most recent first.
	Remembered []Manifest `json:"remembered,omitempty"`
	// RolledBackFrom is the latest version that an operator rolled back from. Only a later version
	// replaces the manifest. Empty: no rollback is in force.
	RolledBackFrom string `json:"rolledBackFrom,omitempty"`
	// Account is the NATS account of the app's workers, if it is not that of the room service: the account
	// that the app says it registered from, or "*" if another account has registered it. Such an app gets
	// pre-events with a reply subject that its account can import.
	Account string `json:"account,omitempty"`
}

// Settings are the settings of operators for an app. Nil means not set.
type Settings struct {
	Enabled *bool `json:"enabled,omitempty"`
	Shadow  *bool `json:"shadow,omitempty"`
}

// Validate returns an error of code invalid_request if the manifest, or the version rolled back
// from, is not valid.
func (r Registration) Validate() error {
	if r.RolledBackFrom != "" {
		if err := validateVersion("rolledBackFrom", r.RolledBackFrom); err != nil {
			return err
		}
	}
	return r.Manifest.Validate()
}

// Effective returns the app's manifest with the settings of operators applied.
func (r Registration) Effective() Manifest {
	m := r.WithDefaults()
	if r.Operator.Enabled != nil {
		m.Enabled = r.Operator.Enabled
	}
	if r.Operator.Shadow != nil {
		m.Shadow = *r.Operator.Shadow
	}
	return m
}

// Latest returns the version that a manifest must exceed to replace the one in force.
func (r Registration) Latest() string { return cmp.Or(r.RolledBackFrom, r.Version) }

// Replace puts the manifest of a later version in force. It ends a rollback.
func (r Registration) Replace(m Manifest) Registration {
	r.remember(m)
	r.RolledBackFrom = ""
	return r
}

// RollBack puts the manifest of a remembered version in force. Rolling back to the latest version ends
// the rollback. changed is false if the version is already in force. The error is of code
// invalid_request if the version is not remembered, or if its manifest is no longer valid.
func (r Registration) RollBack(version string) (next Registration, changed bool, err error) {
	if sameVersion(r.Version, version) {
		return r, false, nil
	}
	n := slices.IndexFunc(r.Remembered, func(m Manifest) bool { return sameVersion(m.Version, version) })
	if n < 0 {
		remembered := cmp.Or(strings.Join(r.Versions(), ", "), "none")
		return r, false, invalid("version %s of app %s is not remembered; remembered besides %s: %s", version, r.ID, r.Version, remembered)
	}
	m := r.Remembered[n]
	if err := m.Validate(); err != nil {
		return r, false, err
	}
	latest := r.Latest()
	r.remember(m)
	r.RolledBackFrom = latest
	if sameVersion(m.Version, latest) {
		r.RolledBackFrom = ""
	}
	return r, true, nil
}

// remember puts the manifest in force and remembers the previous one.
func (r *Registration) remember(m Manifest) {
	rest := slices.DeleteFunc(slices.Clone(r.Remembered), func(o Manifest) bool {
		return sameVersion(o.Version, m.Version) || sameVersion(o.Version, r.Version)
	})
	all := append([]Manifest{r.Manifest}, rest...)
	r.Manifest, r.Remembered = m, all[:min(len(all), MaxRemembered)]
}

// Versions returns the versions of the remembered manifests.
func (r Registration) Versions() []string {
	var all []string
	for _, m := range r.Remembered {
		all = append(all, m.Version)
	}
	return all
}

// sameVersion reports whether two versions are equal, ignoring SemVer's build part.
func sameVersion(a, b string) bool {
	a, _, _ = strings.Cut(a, "+")
	b, _, _ = strings.Cut(b, "+")
	return a == b
}
