package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// Policy has the compiled rules of an app for one interface. It is safe for concurrent use.
type Policy struct {
	on       room.Interface
	language *expression.Language
	rules    []rule
}

// rule is one compiled rule.
type rule interface {
	// apply adds what the rule says about the event.
	apply(e *expression.Evaluation, to *says) error
}

// CompileAll checks and compiles the rules of a manifest that is otherwise valid. The error is of code invalid_request, names
// the interface, the rule and the field, and has the position in the expression.
func CompileAll(m room.Manifest) (map[room.Interface]*Policy, error) {
	if err := m.ValidateRules(); err != nil {
		return nil, err //nolint:wrapcheck // it has a code, and says where
	}
	if size := size(m); size > room.MaxPolicyBytes {
		return nil, room.Errorf(room.CodeInvalidRequest, "rules: the expressions have %d bytes; at most %d are allowed in one policy", size, room.MaxPolicyBytes)
	}
	all := make(map[room.Interface]*Policy, len(m.Rules))
	for _, i := range slices.Sorted(maps.Keys(m.Rules)) {
		p := &Policy{on: i, language: expression.ForRules(i, m.Params)}
		c := compiler{language: p.language}
		for n, r := range m.Rules[i] {
			c.rule = n + 1
			compiled, err := c.compile(r)
			if err != nil {
				return nil, refused(i, err)
			}
			p.rules = append(p.rules, compiled)
			if c.estimate > expression.MaxCost {
				return nil, room.Errorf(room.CodeInvalidRequest, "rules: %s: rules 1 to %d together may cost %d steps; at most %d are allowed", i, c.rule, c.estimate, expression.MaxCost)
			}
		}
		all[i] = p
	}
	return all, nil
}

// size returns the bytes of all expressions. Compiling them takes 10 to 20 µs a byte, at each replica.
func size(m room.Manifest) (bytes int) {
	for _, rules := range m.Rules {
		for _, r := range rules {
			for _, e := range r.Expressions() {
				bytes += len(e)
			}
		}
	}
	return bytes
}

// refused names the interface in an error.
func refused(i room.Interface, err error) error {
	var e *room.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("rules: %s: %w", i, err)
	}
	return room.Errorf(e.Code, "rules: %s: %s", i, e.Message)
}

// compiler compiles the rules of one interface.
type compiler struct {
	language *expression.Language
	rule     int    // number of the rule
	estimate uint64 // cost of all rules so far
}

func (c *compiler) compile(r room.Rule) (rule, error) {
	switch {
	case r.Extend != nil:
		return c.extend(*r.Extend)
	case r.Modify != nil:
		return c.modify(r.Modify)
	case r.Warn != "":
		text, err := c.expression("warn", r.Warn, expression.String)
		return warn{text}, err
	}
	return c.deny(r)
}

func (c *compiler) expression(field string, source room.Expression, result expression.Result) (*expression.Expression, error) {
	x, err := c.language.Compile(fmt.Sprintf("rule %d: %s", c.rule, field), string(source), result)
	if err == nil {
		c.estimate += x.Estimate()
	}
	return x, err
}
