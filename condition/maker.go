package condition

import (
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// making is the call that prices see when an expression has made a list or a map.
const making = "@making"

// maker makes a list or a map and has it priced.
type maker struct {
	interpreter.InterpretableConstructor
}

// priceMaking puts makers where an expression makes lists or maps. Constant ones are made once,
// when the expression is compiled.
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
