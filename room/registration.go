package room

import (
	"cmp"
	"slices"
	"strings"
)

// MaxRemembered is how many manifests that counted before a registration remembers.
const MaxRemembered = 10

// Registration is an app as the registry keeps it: the manifest that counts, as the app gave it, what
// operators have said since, and the manifests that counted before. The operators' word outlasts every
// new version, until the app is removed.
type Registration struct {
	Manifest
	Operator Settings `json:"operator,omitzero"`
	// Remembered are the manifests that counted before, each version once, the one that counted
	// last first.
	Remembered []Manifest `json:"remembered,omitempty"`
	// RolledBackFrom is the latest version that an operator has rolled back from. No version up to
	// it replaces the manifest. Empty: no rollback is in force.
	RolledBackFrom string `json:"rolledBackFrom,omitempty"`
}

// Settings are what operators decide about an app. Nil: they have not.
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

// Effective is the manifest that counts: the app's, but for what operators have decided.
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

// Latest is the version that a manifest must be later than to replace the one that counts.
func (r Registration) Latest() string { return cmp.Or(r.RolledBackFrom, r.Version) }

// Replace makes the manifest of a version later than all before count. It ends a rollback.
func (r Registration) Replace(m Manifest) Registration {
	r.remember(m)
	r.RolledBackFrom = ""
	return r
}

// RollBack makes the manifest of a remembered version count. Of the latest one, that undoes the
// rollback in force. changed is false if the version counts already. The error is of code
// invalid_request if the version is not remembered, or its manifest is not valid any more.
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

// remember makes the manifest count, and the one that counted a remembered one.
func (r *Registration) remember(m Manifest) {
	rest := slices.DeleteFunc(slices.Clone(r.Remembered), func(o Manifest) bool {
		return sameVersion(o.Version, m.Version) || sameVersion(o.Version, r.Version)
	})
	all := append([]Manifest{r.Manifest}, rest...)
	r.Manifest, r.Remembered = m, all[:min(len(all), MaxRemembered)]
}

// Versions are those of the remembered manifests.
func (r Registration) Versions() []string {
	var all []string
	for _, m := range r.Remembered {
		all = append(all, m.Version)
	}
	return all
}

// sameVersion reports whether two versions are equal but for SemVer's build part.
func sameVersion(a, b string) bool {
	a, _, _ = strings.Cut(a, "+")
	b, _, _ = strings.Cut(b, "+")
	return a == b
}
