package expression

import (
	"errors"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/roombus/roombus/room"
)

// Language compiles the expressions for one interface.
type Language struct {
	on     room.Interface
	event  room.EventType // of the interface
	env    *cel.Env
	params *kind[variables] // nil: there are none
}

// ForConditions returns the language of the conditions for an interface.
func ForConditions(i room.Interface) *Language {
	return &Language{on: i, event: i.Event(), env: environment(i)}
}

// ForRules returns the language of the rules for an interface. Rules read documents with these names as
// params.name.
func ForRules(i room.Interface, params []string) *Language {
	l := &Language{on: i, event: i.Event(), params: paramsKind(params)}
	standard, err := types.NewRegistry()
	if err == nil {
		l.env, err = environment(i).Extend(
			cel.CustomTypeProvider(provider{standard, l.params}),
			cel.Variable("params", paramsType),
		)
	}
	if err != nil {
		panic(err) // only if the library is broken
	}
	listNames(l.env)
	return l
}

// Result is the type that an expression must have.
type Result int

// The results.
const (
	Bool Result = iota
	String
	List
	Any
)

// check returns an error unless the type is as required.
func (r Result) check(t *cel.Type) error {
	var want string
	switch {
	case r == Any, r == List && t == cel.DynType, r == List && t.Kind() == types.ListKind:
		return nil
	case r == Bool:
		if t == cel.BoolType {
			return nil
		}
		want = "bool"
		if t == cel.DynType {
			return errors.New("must be bool, is of a type known only when it runs: compare it, as in x == true")
		}
	case r == String:
		if t == cel.StringType {
			return nil
		}
		want = "string"
		if t == cel.DynType {
			return errors.New("must be string, is of a type known only when it runs: convert it, as in string(x)")
		}
	default:
		want = "list"
	}
	return errors.New("must be " + want + ", is " + t.String())
}

// Compile checks and compiles an expression. The label names the expression in errors. The error is of code
// invalid_request and has one line. It contains the position in the expression, unless it is about the
// whole expression: line and column, both from 1, the column in characters.
func (l *Language) Compile(label, source string, result Result) (*Expression, error) {
	checked, issues := l.checked(source)
	if issues.Err() != nil {
		return nil, refusal(label, firstOf(issues))
	}
	if err := result.check(checked.OutputType()); err != nil {
		return nil, refusal(label, err.Error())
	}
	estimate, err := l.affordable(checked)
	if err != nil {
		return nil, refusal(label, err.Error())
	}
	x := &Expression{label: label, estimate: estimate, source: checked.NativeRep().SourceInfo()}
	x.program, err = l.env.Program(checked,
		cel.EvalOptions(cel.OptOptimize), // creates constant lists once
		cel.CostTracking(prices{}),
		cel.CostLimit(MaxCost),
		cel.CustomDecoratorV2(priceMaking),
		cel.CustomDecoratorV2(boundMatching),
		cel.CustomDecoratorV2(knowZone),
		cel.CustomDecoratorV2(bound),
		cel.CustomDecoratorV2(priceVisiting(checked.NativeRep())),
	)
	if err != nil {
		return nil, refusal(label, located(x.source, err))
	}
	return x, nil
}

// checked parses the expression and checks its types. The type check of an expression with deeply nested
// types takes long, so that its nesting is checked before.
func (l *Language) checked(source string) (*cel.Ast, *cel.Issues) {
	parsed, issues := l.env.Parse(source)
	if issues.Err() != nil {
		return nil, issues
	}
	if issues = checkNesting(parsed); issues.Err() != nil {
		return nil, issues
	}
	return l.env.Check(parsed)
}
