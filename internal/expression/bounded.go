package expression

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// bounded is a comparison or a search. The evaluation is cancelled before it begins if it exceeds
// MaxCost: with the largest documents a single one takes some 100 ms.
type bounded struct {
	interpreter.InterpretableCall
	left, right interpreter.InterpretableV2
	do          func(left, right ref.Val) ref.Val
}

// bound replaces comparisons and searches by bounded ones.
func bound(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	var do func(left, right ref.Val) ref.Val
	switch call.Function() {
	case operators.Equals:
		do = types.Equal
	case operators.NotEquals:
		do = func(left, right ref.Val) ref.Val { return types.Bool(types.Equal(left, right) != types.True) }
	case operators.In:
		do = search
	default:
		return i, nil
	}
	return &bounded{InterpretableCall: call, left: call.Args()[0], right: call.Args()[1], do: do}, nil
}

func search(what, in ref.Val) ref.Val {
	if c, ok := in.(traits.Container); ok {
		return c.Contains(what)
	}
	return types.MaybeNoSuchOverloadErr(in)
}

func (b *bounded) Exec(f *interpreter.ExecutionFrame) ref.Val {
	left := b.left.Exec(f)
	if types.IsUnknownOrError(left) {
		return left
	}
	right := b.right.Exec(f)
	if types.IsUnknownOrError(right) {
		return right
	}
	if b.price(left, right) > MaxCost {
		panic(interpreter.EvalCancelledError{Message: ErrTooCostly.Error(), Cause: interpreter.CostLimitExceeded}) // as the library does
	}
	result := types.LabelErrNode(b.ID(), b.do(left, right))
	if costs := f.CostTracker(); costs != nil {
		costs.EvalBinary(f, b.ID(), b, left, right, result)
	}
	return result
}

func (b *bounded) price(left, right ref.Val) uint64 {
	if b.Function() == operators.In {
		return searching(left, right)
	}
	return comparing(left, right)
}

func (b *bounded) Eval(a interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(a, b.Exec)
}
