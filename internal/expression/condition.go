package expression

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/roombus/roombus/room"
)

// Condition is a compiled expression. It is safe for concurrent use.
type Condition struct {
	on      room.Interface
	program cel.Program
	source  *ast.SourceInfo
}

// Event is a pre-event that an app would be asked about.
type Event struct {
	ID   string    // of the command
	Time time.Time // of the command
	Data room.Data // the body of the pre-event; Holds does not change or keep it
}

// Compile checks and compiles an expression for a pre-interface. The error is of code invalid_request and
// has one line. It contains the position in the expression, unless it is about the whole expression: line
// and column, both from 1, the column in characters.
func Compile(i room.Interface, expression string) (*Condition, error) {
	if strings.TrimSpace(expression) == "" {
		return nil, refusal(i, "the expression is empty; leave it out for an app that is always to be asked")
	}
	checked, issues := environment(i).Compile(expression)
	if issues.Err() != nil {
		return nil, refusal(i, firstOf(issues))
	}
	if t := checked.OutputType(); t != cel.BoolType {
		return nil, refusal(i, notBool(t))
	}
	if err := affordable(i, checked); err != nil {
		return nil, refusal(i, err.Error())
	}
	source := checked.NativeRep().SourceInfo()
	program, err := environment(i).Program(checked,
		cel.EvalOptions(cel.OptOptimize), // creates constant lists and patterns once
		cel.CostTracking(prices{}),
		cel.CostLimit(MaxCost),
		cel.CustomDecoratorV2(priceMaking),
	)
	if err != nil {
		return nil, refusal(i, located(source, err))
	}
	return &Condition{on: i, program: program, source: source}, nil
}

// CompileAll compiles every expression of a manifest. It returns the error of the first interface, by
// name, with an invalid expression.
func CompileAll(m room.Manifest) (map[room.Interface]*Condition, error) {
	all := make(map[room.Interface]*Condition, len(m.When))
	for _, i := range slices.Sorted(maps.Keys(m.When)) {
		c, err := Compile(i, m.When[i])
		if err != nil {
			return nil, err
		}
		all[i] = c
	}
	return all, nil
}

// Holds reports whether the expression is true for an event. An error means that the evaluation failed:
// the expression reads an absent key, compares values that cannot be compared, or exceeds MaxCost, which
// gives ErrTooCostly.
func (c *Condition) Holds(e Event) (bool, error) {
	out, _, err := c.program.Eval(&variables{on: c.on, Event: e})
	if err != nil {
		return false, c.failure(err)
	}
	return out.Value() == true, nil
}
