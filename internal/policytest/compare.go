package policytest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/room"
)

// Check compares one field of the outcome.
type Check struct {
	Field    string          `json:"field"`
	Expected json.RawMessage `json:"expected"`
	Actual   json.RawMessage `json:"actual"`
	OK       bool            `json:"ok"`
}

// compare compares the fields that are expected with the outcome.
func compare(x policyfile.Expect, o Outcome) ([]Check, error) {
	var c checks
	if x.Outcome != "" {
		c.add("outcome", string(x.Outcome), string(o.Outcome))
	}
	if x.Rule != nil {
		c.add("rule", *x.Rule, o.Rule)
	}
	if x.Reason != nil {
		c.add("reason", *x.Reason, o.Reason)
	}
	if x.Warnings != nil {
		c.add("warnings", *x.Warnings, append([]string{}, o.Warnings...))
	}
	if x.Members != nil {
		ids := make([]string, 0, len(o.Members))
		for _, m := range o.Members {
			ids = append(ids, m.ID)
		}
		c.add("members", slices.Sorted(slices.Values(*x.Members)), slices.Sorted(slices.Values(ids)))
	}
	if x.Room != nil {
		c.fields("room", x.Room, plain(o.Room, &c.err))
	}
	return c.all, c.err
}

type checks struct {
	all []Check
	err error // a value that cannot be encoded
}

func (c *checks) add(field string, expected, actual any) {
	expected, actual = plain(expected, &c.err), plain(actual, &c.err)
	one := Check{Field: field, Expected: encode(expected, &c.err), Actual: encode(actual, &c.err)}
	one.OK = equal(expected, actual)
	c.all = append(c.all, one)
}

// fields compares the fields of an object that are expected, and those of objects in it.
func (c *checks) fields(name string, expected map[string]any, actual any) {
	object, _ := actual.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		field := name + "." + key
		if inner, ok := expected[key].(map[string]any); ok && len(inner) > 0 {
			c.fields(field, inner, object[key])
			continue
		}
		c.add(field, expected[key], object[key])
	}
}

// plain returns a value as JSON has it, with maps, lists and numbers as text.
func plain(v any, failed *error) any {
	var field struct {
		Value any `json:"value"`
	}
	data := encode(map[string]any{"value": v}, failed)
	if err := room.DecodeLenient(data, &field); err != nil && *failed == nil {
		*failed = err
	}
	return field.Value
}

func encode(v any, failed *error) json.RawMessage {
	data, err := room.Encode(v)
	if err != nil && *failed == nil {
		*failed = err
	}
	return data
}

// equal reports whether two values are equal. Numbers are compared by their value if that is exact.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		other, ok := b.(json.Number)
		return ok && (a == other || sameNumber(a, other))
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, equal)
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, other, equal)
	}
	return a == b
}

func sameNumber(a, b json.Number) bool {
	const exact = 1 << 53
	x, err := a.Float64()
	y, wrong := b.Float64()
	return err == nil && wrong == nil && x == y && math.Abs(x) < exact
}

// Text returns the expected and the actual outcome as text: if the case is ok, only the outcome and the rule. If
// it has failed, all fields that differ, and why an outcome was not the expected one.
func (r Result) Text() (expected, actual string) {
	var wanted, got []string
	explained := false
	for _, c := range r.Checks {
		if c.OK && !r.OK || r.OK && c.Field != "outcome" && c.Field != "rule" {
			continue
		}
		wanted, got = append(wanted, c.text(c.Expected)), append(got, c.text(c.Actual))
		explained = explained || c.Field == "reason"
	}
	if reason := r.Actual.Reason; !r.OK && !explained && reason != "" {
		got = append(got, fmt.Sprintf("reason %q", reason))
	}
	return cmp.Or(strings.Join(wanted, ", "), "-"), cmp.Or(strings.Join(got, ", "), "-")
}

func (c Check) text(value json.RawMessage) string {
	if c.Field == "outcome" {
		return strings.Trim(string(value), `"`)
	}
	return c.Field + " " + string(value)
}
