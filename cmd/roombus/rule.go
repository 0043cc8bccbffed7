package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/roombus/roombus/room"
)

// showRules shows the rules of a policy, numbered for each interface, and the documents that they read.
func showRules(line func(key, format string, args ...any), m room.Manifest) {
	n := 0
	for _, i := range slices.Sorted(maps.Keys(m.Rules)) {
		for k, r := range m.Rules[i] {
			line(first(n, "rules"), "%s %d: %s", i, k+1, ruleText(r))
			n++
		}
	}
	if len(m.Params) > 0 {
		line("params", "%s", strings.Join(m.Params, ", "))
	}
}

// ruleText formats a rule on one line.
func ruleText(r room.Rule) string {
	var parts []string
	all := r.Expressions()
	for _, field := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%s: %s", field, strings.Join(strings.Fields(string(all[field])), " ")))
	}
	if r.Reason != "" {
		parts = append(parts, "reason: "+r.Reason)
	}
	for _, field := range slices.Sorted(maps.Keys(r.Modify)) {
		if r.Modify[field] == nil {
			parts = append(parts, "modify."+field+": null")
		}
	}
	return strings.Join(parts, "; ")
}

// ofRule names the rule of an outcome, such as " rule 2", or returns an empty text.
func ofRule(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" rule %d", n)
}

// ruleOf returns the rule that caused the error, or 0.
func ruleOf(e room.Error) int {
	for _, a := range slices.Backward(e.Apps) { // the last phase has caused it
		if a.App == e.App && !a.Shadow {
			return a.Rule
		}
	}
	return 0
}
