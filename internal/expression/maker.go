package expression

import (
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// making is the name of the call that is priced when an expression creates a list or a map.
const making = "@making"

// maker creates a list or a map and adds its price to the cost.
type maker struct {
	interpreter.InterpretableConstructor
}

// priceMaking replaces the constructors of lists and maps by makers, except for constants, which are
// created once at compile time.
func priceMaking(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	c, ok := i.(interpreter.InterpretableConstructor)
	if !ok {
		return i, nil
	}
	for _, v := range c.InitVals() {
		if _, constant := v.(interpreter.InterpretableConst); !constant {
			return &maker{c}, nil
		}
	}
	return i, nil
}

func (m *maker) Exec(f *interpreter.ExecutionFrame) ref.Val {
	made := m.InterpretableConstructor.Exec(f)
	f.CostTracker().EvalUnary(f, m.ID(), m, made, made)
	return made
}

func (m *maker) Eval(a interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(a, m.Exec)
}

func (m *maker) Function() string { return making }

func (m *maker) OverloadID() string { return making }
