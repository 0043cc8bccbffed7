package expression

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// visiting is the name of the call that is priced when a macro such as exists visits the keys of a map.
const visiting = "@visiting"

// sortingPrice is the price of sorting one key, which takes 200 to 600 ns. An object of an event is sorted
// each time that it is visited.
const sortingPrice = 10

// visitor is what a macro visits. It adds the price of sorting the keys before they are sorted.
type visitor struct{ interpreter.InterpretableV2 }

// priceVisiting returns a decorator that replaces what macros visit by visitors, unless it is a list.
func priceVisiting(checked *ast.AST) interpreter.InterpretableDecoratorV2 {
	visited := make(map[int64]bool)
	for _, macro := range ast.MatchDescendants(ast.NavigateAST(checked), ast.KindMatcher(ast.ComprehensionKind)) {
		if id := macro.AsComprehension().IterRange().ID(); checked.GetType(id).Kind() != types.ListKind {
			visited[id] = true
		}
	}
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		if visited[i.ID()] {
			return &visitor{i}, nil
		}
		return i, nil
	}
}

func (v *visitor) Exec(f *interpreter.ExecutionFrame) ref.Val {
	visited := v.InterpretableV2.Exec(f)
	if !types.IsUnknownOrError(visited) {
		f.CostTracker().EvalUnary(f, v.ID(), v, visited, visited)
	}
	return visited
}

func (v *visitor) Eval(a interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(a, v.Exec)
}

func (v *visitor) Function() string { return visiting }

func (v *visitor) OverloadID() string { return visiting }

func sorting(visited ref.Val) uint64 {
	if d, ok := visited.(*dictionary); ok && d.keys == nil {
		return sortingPrice * uint64(len(d.of))
	}
	return 0
}
