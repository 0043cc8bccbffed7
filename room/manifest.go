package room

import (
	"cmp"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"time"
)

// Bounds and defaults of a manifest.
const (
	DefaultOrder     = 100
	DefaultTimeoutMs = 1000
	MaxTimeoutMs     = 60_000
	MaxDescription   = 1024 // bytes

	DefaultMaxAttempts = 5
	MaxMaxAttempts     = 1000
)

// Deliver selects the first post-event of an app that is registered for the first time.
type Deliver string

// The starting points of the post-events of a new app.
const (
	DeliverNew   Deliver = "new"   // new events only; the default
	DeliverAll   Deliver = "all"   // all events in the stream
	DeliverSince Deliver = "since" // events since deliverSince
)

// ReinvocationPolicy says whether an app that was asked to prevent a creation is asked again after
// other apps have changed the draft.
type ReinvocationPolicy string

// The reinvocation policies.
const (
	ReinvokeNever    ReinvocationPolicy = "never" // the default
	ReinvokeIfNeeded ReinvocationPolicy = "if_needed"
)

// Manifest describes an app. The app sends it to register.
type Manifest struct {
	ID          string      `json:"id"`
	Version     string      `json:"version"` // SemVer
	Description string      `json:"description,omitempty"`
	Implements  []Interface `json:"implements"`
	// Essentials are the pre-interfaces that require an answer: without one the action is blocked. For
	// other pre-interfaces the action continues, and the outcome is recorded.
	Essentials []Interface `json:"essentials"`
	Order      *int        `json:"order,omitempty"`     // lower is asked first, ties by id; default 100
	TimeoutMs  *int        `json:"timeoutMs,omitempty"` // for one pre-event; 1 to 60000, default 1000
	// When has a CEL expression for some pre-interfaces. The app is asked only if the expression is
	// true.
	When map[Interface]string `json:"when,omitempty"`
	// ReinvocationPolicy if_needed: an app that implements PreRoomCreatePrevent is asked again about the
	// final draft if an extension or a modification has changed it.
	ReinvocationPolicy ReinvocationPolicy `json:"reinvocationPolicy,omitempty"`

	// Rules make the app a policy: the room service evaluates them, in their order, and asks no worker.
	Rules map[Interface][]Rule `json:"rules,omitempty"`
	// Params are the names of the documents that the rules read.
	Params []string `json:"params,omitempty"`

	Shadow  bool  `json:"shadow,omitempty"`  // asked and recorded, never enforced
	Enabled *bool `json:"enabled,omitempty"` // default true

	// Deliver and DeliverSince select the app's first post-event. They apply only when the app is
	// registered for the first time.
	Deliver      Deliver    `json:"deliver,omitempty"`
	DeliverSince *time.Time `json:"deliverSince,omitempty"`
	// MaxAttempts is the number of attempts to handle a post-event before it becomes a dead letter; 1 to
	// 1000, default 5.
	MaxAttempts *int `json:"maxAttempts,omitempty"`
	// Unordered allows post-events of one room to be handled concurrently and out of order, without
	// waiting for each other. By default they are handled one by one, in order.
	Unordered bool `json:"unordered,omitempty"`
}

// https://semver.org: major.minor.patch, then pre-release and build parts.
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// reserved has the ids that would make an app's workers look like the room service.
var reserved = []string{"rooms"}

// Validate returns an error of code invalid_request that names the first invalid field.
func (m Manifest) Validate() error {
	if err := ValidateToken("id", m.ID); err != nil {
		return err
	}
	if slices.Contains(reserved, m.ID) {
		return invalid("id: %q is the room service's own name", m.ID)
	}
	if err := validateVersion("version", m.Version); err != nil {
		return err
	}
	if len(m.Description) > MaxDescription {
		return invalid("description has %d bytes; at most %d are allowed", len(m.Description), MaxDescription)
	}
	if len(m.Implements) == 0 {
		return invalid("implements is required: list at least one of the interfaces")
	}
	for n, i := range m.Implements {
		if !i.Known() {
			return invalid("implements: there is no interface %.80q", string(i))
		}
		if slices.Contains(m.Implements[:n], i) {
			return invalid("implements: %s stands there twice", i)
		}
	}
	for _, i := range m.Essentials {
		if !i.Known() {
			return invalid("essentials: there is no interface %.80q", string(i))
		}
		if !slices.Contains(m.Implements, i) {
			return invalid("essentials: %.80q is not among implements", string(i))
		}
		if !i.Pre() {
			return invalid("essentials: %s comes after the change and cannot block it", i)
		}
	}
	if m.TimeoutMs != nil && (*m.TimeoutMs < 1 || *m.TimeoutMs > MaxTimeoutMs) {
		return invalid("timeoutMs must be 1 to %d, not %d", MaxTimeoutMs, *m.TimeoutMs)
	}
	if err := m.validateReinvocation(); err != nil {
		return err
	}
	if err := m.validateDelivery(); err != nil {
		return err
	}
	if err := m.validateWhen(); err != nil {
		return err
	}
	return m.ValidateRules()
}

func (m Manifest) validateReinvocation() error {
	switch m.ReinvocationPolicy {
	case "", ReinvokeNever:
		return nil
	case ReinvokeIfNeeded:
		if !m.Has(PreRoomCreatePrevent) {
			return invalid("reinvocationPolicy %q is for apps that implement %s", ReinvokeIfNeeded, PreRoomCreatePrevent)
		}
		return nil
	}
	return invalid("reinvocationPolicy must be never or if_needed, not %.80q", string(m.ReinvocationPolicy))
}

func validateVersion(field, version string) error {
	if version == "" {
		return invalid("%s is required", field)
	}
	if !semver.MatchString(version) {
		return invalid("%s must be SemVer like 1.2.3, not %.80q", field, version)
	}
	return nil
}

func (m Manifest) validateDelivery() error {
	if m.MaxAttempts != nil && (*m.MaxAttempts < 1 || *m.MaxAttempts > MaxMaxAttempts) {
		return invalid("maxAttempts must be 1 to %d, not %d", MaxMaxAttempts, *m.MaxAttempts)
	}
	switch m.Deliver {
	case "", DeliverNew, DeliverAll:
		if m.DeliverSince != nil {
			return invalid("deliverSince goes with deliver %q", DeliverSince)
		}
	case DeliverSince:
		if m.DeliverSince == nil {
			return invalid("deliver %q needs the time in deliverSince", DeliverSince)
		}
	default:
		return invalid("deliver must be new, all or since, not %.80q", string(m.Deliver))
	}
	return nil
}

func (m Manifest) validateWhen() error {
	for _, i := range slices.Sorted(maps.Keys(m.When)) {
		switch expression := m.When[i]; {
		case !i.Known():
			return invalid("when: there is no interface %.80q", string(i))
		case !m.Has(i):
			return invalid("when: %.80q is not among implements", string(i))
		case !i.Pre():
			return invalid("when: %s comes after the change: the app's handler decides what concerns it", i)
		case len(expression) > MaxExpressionBytes:
			return invalid("when: the expression for %s has %d bytes; at most %d are allowed", i, len(expression), MaxExpressionBytes)
		}
	}
	return nil
}

// WithDefaults returns the manifest with the defaults of its empty fields.
func (m Manifest) WithDefaults() Manifest {
	m.Order = cmp.Or(m.Order, new(DefaultOrder))
	if !m.IsPolicy() {
		m.TimeoutMs = cmp.Or(m.TimeoutMs, new(DefaultTimeoutMs))
	}
	m.Enabled = cmp.Or(m.Enabled, new(true))
	if m.Essentials == nil {
		m.Essentials = []Interface{}
	}
	return m
}

// Differences returns the names of the fields in which two manifests of an app differ. It ignores the
// version, the fields Deliver and DeliverSince, which apply only once, and the order of interfaces.
func (m Manifest) Differences(o Manifest) []string {
	a, b := m.WithDefaults(), o.WithDefaults()
	var d []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"description", a.Description == b.Description},
		{"implements", sameSet(a.Implements, b.Implements)},
		{"essentials", sameSet(a.Essentials, b.Essentials)},
		{"order", *a.Order == *b.Order},
		{"timeoutMs", a.Timeout() == b.Timeout()},
		{"when", maps.Equal(a.When, b.When)},
		{"shadow", a.Shadow == b.Shadow},
		{"enabled", *a.Enabled == *b.Enabled},
		{"reinvocationPolicy", cmp.Or(a.ReinvocationPolicy, ReinvokeNever) == cmp.Or(b.ReinvocationPolicy, ReinvokeNever)},
		{"maxAttempts", a.Attempts() == b.Attempts()},
		{"unordered", a.Unordered == b.Unordered},
		{"rules", sameRules(a.Rules, b.Rules)},
		{"params", slices.Equal(a.Params, b.Params)},
	} {
		if !f.same {
			d = append(d, f.name)
		}
	}
	return d
}

func sameSet(a, b []Interface) bool {
	sorted := func(s []Interface) []Interface { return slices.Compact(slices.Sorted(slices.Values(s))) }
	return slices.Equal(sorted(a), sorted(b))
}

func sameRules(a, b map[Interface][]Rule) bool {
	return maps.EqualFunc(a, b, func(a, b []Rule) bool {
		return slices.EqualFunc(a, b, func(a, b Rule) bool { return reflect.DeepEqual(a, b) })
	})
}

// Has reports whether the app implements i.
func (m Manifest) Has(i Interface) bool { return slices.Contains(m.Implements, i) }

// HasPost reports whether the app implements a post-interface.
func (m Manifest) HasPost() bool {
	return slices.ContainsFunc(m.Implements, func(i Interface) bool { return !i.Pre() })
}

// Essential reports whether an action is blocked when the app cannot answer for i.
func (m Manifest) Essential(i Interface) bool { return slices.Contains(m.Essentials, i) }

// Timeout is the app's timeout for one pre-event, 0 for a policy.
func (m Manifest) Timeout() time.Duration {
	if m.IsPolicy() {
		return 0
	}
	if m.TimeoutMs == nil {
		return DefaultTimeoutMs * time.Millisecond
	}
	return time.Duration(*m.TimeoutMs) * time.Millisecond
}

// Attempts is the maximum number of attempts to handle a post-event.
func (m Manifest) Attempts() int {
	if m.MaxAttempts == nil {
		return DefaultMaxAttempts
	}
	return *m.MaxAttempts
}

// spareDeliveries allows for deliveries to workers that died or stopped before the handler began.
const spareDeliveries = 4

// Deliveries is the maximum number of deliveries of a post-event, Attempts + 4: the consumer's max_deliver.
func (m Manifest) Deliveries() int { return m.Attempts() + spareDeliveries }

// IsEnabled reports whether the app is enabled, so that it is asked.
func (m Manifest) IsEnabled() bool { return m.Enabled == nil || *m.Enabled }

// Compare orders apps in the order in which they are asked: by order, then by id.
func (m Manifest) Compare(o Manifest) int {
	return cmp.Or(cmp.Compare(m.order(), o.order()), cmp.Compare(m.ID, o.ID))
}

func (m Manifest) order() int {
	if m.Order == nil {
		return DefaultOrder
	}
	return *m.Order
}
