package expression

import (
	"fmt"
	"regexp"

	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// maxMatching bounds the bytes of a text times the instructions of the pattern that it is matched with. In
// the worst case each takes 8 ns.
const maxMatching = 1_000_000

// matching compiles the patterns of matches, which are literals, when the expression is compiled.
var matching = &interpreter.RegexOptimization{
	Function:   overloads.Matches,
	RegexIndex: 1,
	Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("compiling the pattern: %w", err)
		}
		size, err := types.RegexProgramSize(pattern)
		if err != nil {
			return nil, fmt.Errorf("sizing the pattern: %w", err)
		}
		longest := maxMatching / max(1, size)
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(values ...ref.Val) ref.Val {
			text, ok := values[0].(types.String)
			switch {
			case !ok:
				return types.MaybeNoSuchOverloadErr(values[0])
			case len(text) > longest:
				return types.NewErr("matches: the text has %d bytes; with this pattern at most %d are matched", len(text), longest)
			}
			return types.Bool(compiled.MatchString(string(text)))
		}), nil
	},
}
