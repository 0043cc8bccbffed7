package expression

import (
	"fmt"
	"regexp"
	"strconv"

	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// maxMatching bounds the bytes of a text times the instructions of the pattern that it is matched with. In
// the worst case each takes 8 ns.
const maxMatching = 600_000

// matching is the name of a bounded call of matches, so that the library does not replace it by its own.
const matching = "@matches"

// boundMatching replaces calls of matches, whose pattern is a literal, by calls that refuse a long text.
func boundMatching(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || call.Function() != overloads.Matches || len(call.Args()) != 2 {
		return i, nil
	}
	literal, ok := call.Args()[1].(interpreter.InterpretableConst)
	if !ok {
		return i, nil
	}
	pattern, _ := literal.Value().Value().(string)
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("compiling the pattern: %w", err)
	}
	size, err := types.RegexProgramSize(pattern)
	if err != nil {
		return nil, fmt.Errorf("compiling the pattern: %w", err)
	}
	longest := maxMatching / max(1, size)
	overload := strconv.Itoa(size) // for the price
	return interpreter.NewCall(call.ID(), matching, overload, call.Args(), func(values ...ref.Val) ref.Val {
		text, ok := values[0].(types.String)
		switch {
		case !ok:
			return types.NoSuchOverloadErr()
		case len(text) > longest:
			return types.NewErr("matches: the text has %d bytes; with this pattern at most %d are matched", len(text), longest)
		}
		return types.Bool(compiled.MatchString(string(text)))
	}), nil
}

// matchingPrice returns the price of a call, whose overload is the number of instructions of the pattern. A
// usual pattern takes some 40 ns a byte.
func matchingPrice(overload string, text ref.Val) uint64 {
	s, _ := text.(types.String)
	size, _ := strconv.Atoi(overload)
	return uint64(len(s) * max(bytesAMatchingStep, size) / bytesAMatchingStep)
}

// bytesAMatchingStep is the number of bytes times instructions of one step.
const bytesAMatchingStep = 8
