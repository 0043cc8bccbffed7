package room

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a policy.
const (
	MaxExpressionBytes = 2048     // of one expression in When or Rules
	MaxPolicyBytes     = 64 << 10 // of all expressions in the Rules of one policy
	MaxRules           = 64       // for one interface
	MaxRuleFields      = 64       // that one rule extends or modifies
	MaxPolicyParams    = 16       // documents that one policy reads
)

// Expression is the source of an expression in CEL. In JSON it is a string; a bool or a number is the
// expression of that constant.
type Expression string

// UnmarshalJSON decodes an expression.
func (e *Expression) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] == '"' {
		return decode(data, (*string)(e), strict)
	}
	switch data[0] {
	case '{', '[', 'n':
		return invalid("an expression is a string")
	}
	*e = Expression(data)
	return nil
}

// Rule is one rule of a policy. It has exactly one of Deny, Warn, Extend and Modify.
type Rule struct {
	// Deny is a bool expression. If it is true, the action is denied, with the reason. The interface must
	// be one that may deny.
	Deny             Expression `json:"deny,omitempty"`
	Reason           string     `json:"reason,omitempty"`
	ReasonExpression Expression `json:"reasonExpression,omitempty"` // string, in place of Reason
	// Warn is a string expression: a warning to the user if the action is allowed. An empty string is
	// none. The interface must be one that may deny.
	Warn Expression `json:"warn,omitempty"`
	// Extend is for PreRoomCreateExtend.
	Extend *ExtendRule `json:"extend,omitempty"`
	// Modify is for PreRoomCreateModify: the values of fields in a merge patch of the room. Null removes
	// the field, as does an expression that is null.
	Modify map[string]*Expression `json:"modify,omitempty"`
}

// ExtendRule has the custom fields and members that a rule adds to a room before its creation.
type ExtendRule struct {
	// CustomFields have any value that JSON has. A field whose expression is null is not added.
	CustomFields map[string]Expression `json:"customFields,omitempty"`
	// Members is a list of users and ids of users.
	Members Expression `json:"members,omitempty"`
}

// IsPolicy reports whether the app consists of rules. Then it has no workers.
func (m Manifest) IsPolicy() bool { return len(m.Rules) > 0 }

// ValidateRules returns an error of code invalid_request unless the rules of a policy are valid, and other
// apps have no params. Validate calls it.
func (m Manifest) ValidateRules() error {
	if !m.IsPolicy() {
		if len(m.Params) > 0 {
			return invalid("params: only a policy reads documents; this app has no rules")
		}
		return nil
	}
	for _, i := range m.Implements {
		switch {
		case !i.Pre():
			return invalid("implements: %s is for apps with workers; a policy decides before a change", i)
		case len(m.Rules[i]) == 0:
			return invalid("rules: there are none for %s, which is among implements", i)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(m.Rules)) {
		switch rules := m.Rules[i]; {
		case !i.Known():
			return invalid("rules: there is no interface %.80q", string(i))
		case !m.Has(i):
			return invalid("rules: %.80q is not among implements", string(i))
		case len(rules) > MaxRules:
			return invalid("rules: %s has %d rules; at most %d are allowed", i, len(rules), MaxRules)
		default:
			if err := validateEach(i, rules); err != nil {
				return err
			}
		}
	}
	if err := m.validateNoWorkers(); err != nil {
		return err
	}
	return m.validateParams()
}

// validateEach validates the rules of an interface. No two of them set the same field.
func validateEach(i Interface, rules []Rule) error {
	set := make(map[string]int)
	for n, r := range rules {
		if err := r.validate(i); err != nil {
			return invalid("rules: %s: rule %d: %s", i, n+1, message(err))
		}
		for _, field := range r.sets() {
			if by := set[field]; by > 0 {
				return invalid("rules: %s: rule %d: %.80s is set by rule %d already", i, n+1, field, by)
			}
			set[field] = n + 1
		}
	}
	return nil
}

// sets returns the names of the custom fields or of the fields that the rule sets.
func (r Rule) sets() []string {
	if r.Extend != nil {
		return slices.Sorted(maps.Keys(r.Extend.CustomFields))
	}
	return slices.Sorted(maps.Keys(r.Modify))
}

// validateNoWorkers returns an error if the manifest of a policy has a field that is for workers.
func (m Manifest) validateNoWorkers() error {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"timeoutMs", m.TimeoutMs != nil},
		{"deliver", m.Deliver != ""},
		{"deliverSince", m.DeliverSince != nil},
		{"maxAttempts", m.MaxAttempts != nil},
		{"unordered", m.Unordered},
	} {
		if f.set {
			return invalid("%s is for apps with workers; a policy has rules in their place", f.name)
		}
	}
	return nil
}

func (m Manifest) validateParams() error {
	if len(m.Params) > MaxPolicyParams {
		return invalid("params: %d documents; at most %d are allowed", len(m.Params), MaxPolicyParams)
	}
	for n, name := range m.Params {
		if err := ValidateParamName("params", name); err != nil {
			return err
		}
		if slices.Contains(m.Params[:n], name) {
			return invalid("params: %s stands there twice", name)
		}
	}
	return nil
}

// validate returns an error of code invalid_request that names the first invalid field.
func (r Rule) validate(i Interface) error {
	var kinds []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"deny", r.Deny != ""},
		{"warn", r.Warn != ""},
		{"extend", r.Extend != nil},
		{"modify", r.Modify != nil},
	} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	switch {
	case len(kinds) == 0:
		return invalid("it needs %s", strings.Join(i.ruleKinds(), " or "))
	case len(kinds) > 1:
		return invalid("it has %s; make a rule of each", strings.Join(kinds, " and "))
	case !slices.Contains(i.ruleKinds(), kinds[0]):
		return invalid("%s is not for this interface; use %s", kinds[0], strings.Join(i.ruleKinds(), " or "))
	case r.Deny == "" && (r.Reason != "" || r.ReasonExpression != ""):
		return invalid("a reason goes with deny")
	case r.Reason != "" && r.ReasonExpression != "":
		return invalid("reason and reasonExpression exclude each other")
	case len(r.Reason) > MaxReasonBytes:
		return invalid("reason has %d bytes; at most %d are allowed", len(r.Reason), MaxReasonBytes)
	}
	return r.validateExpressions()
}

// ruleKinds returns the names of the fields, one of which a rule for the interface has.
func (i Interface) ruleKinds() []string {
	switch {
	case i.MayDeny():
		return []string{"deny", "warn"}
	case i.Content() == ContentExtend:
		return []string{"extend"}
	case i.Content() == ContentModify:
		return []string{"modify"}
	}
	return nil
}

func (r Rule) validateExpressions() error {
	if r.Extend != nil && len(r.Extend.CustomFields) == 0 && r.Extend.Members == "" {
		return invalid("extend: it needs customFields or members")
	}
	if r.Modify != nil && len(r.Modify) == 0 {
		return invalid("modify: it needs at least one field")
	}
	all := r.Expressions()
	if len(all) > MaxRuleFields {
		return invalid("it has %d fields; at most %d are allowed", len(all), MaxRuleFields)
	}
	for _, field := range slices.Sorted(maps.Keys(all)) {
		switch e := all[field]; {
		case strings.TrimSpace(string(e)) == "":
			return invalid("%.80s: the expression is empty", field)
		case len(e) > MaxExpressionBytes:
			return invalid("%.80s: the expression has %d bytes; at most %d are allowed", field, len(e), MaxExpressionBytes)
		}
	}
	return nil
}

// Expressions returns the expressions of the rule by the names of their fields.
func (r Rule) Expressions() map[string]Expression {
	all := make(map[string]Expression)
	for name, e := range map[string]Expression{"deny": r.Deny, "reasonExpression": r.ReasonExpression, "warn": r.Warn} {
		if e != "" {
			all[name] = e
		}
	}
	if r.Extend != nil {
		for key, e := range r.Extend.CustomFields {
			all["extend.customFields."+key] = e
		}
		if r.Extend.Members != "" {
			all["extend.members"] = r.Extend.Members
		}
	}
	for key, e := range r.Modify {
		if e != nil {
			all["modify."+key] = *e
		}
	}
	return all
}

// paramName is the pattern of a document's name: an identifier, so that a rule reads it as params.name.
var paramName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// ValidateParamName returns an error of code invalid_request unless the name can be that of a document.
// field names it in the error.
func ValidateParamName(field, name string) error {
	switch name {
	case "":
		return invalid("%s is required", field)
	case "in", "true", "false", "null":
		return invalid("%s: %s is a word of the language; choose another name", field, name)
	}
	if !paramName.MatchString(name) {
		return invalid("%s must be 1 to 64 of the characters A-Z a-z 0-9 _, and not begin with a digit, not %.80q", field, name)
	}
	return nil
}
