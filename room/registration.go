package room

// Registration is an app as the registry keeps it: the manifest as the app gave it, and what
// operators have said since. Their word outlasts every new version, until the app is removed.
type Registration struct {
	Manifest
	Operator Settings `json:"operator,omitzero"`
}

// Settings are what operators decide about an app. Nil: they have not.
type Settings struct {
	Enabled *bool `json:"enabled,omitempty"`
	Shadow  *bool `json:"shadow,omitempty"`
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
