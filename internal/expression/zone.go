package expression

import (
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// zoned is the name of a call like time.getHours("Europe/Berlin") whose time zone is known at compile time.
const zoned = "@zoned"

// knowZone replaces calls with the name of a time zone by calls that know the zone. The library reads the
// rules of the zone from a file at each call. It keeps calls with an offset, and with a name that this
// machine does not know.
func knowZone(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 || !strings.HasSuffix(call.OverloadID(), "_tz") {
		return i, nil
	}
	literal, ok := call.Args()[1].(interpreter.InterpretableConst)
	if !ok {
		return i, nil
	}
	name, _ := literal.Value().Value().(string)
	zone, err := time.LoadLocation(name)
	if err != nil {
		return i, nil //nolint:nilerr // the evaluation reports it
	}
	function := call.Function()
	return interpreter.NewCall(call.ID(), zoned, function, call.Args()[:1], func(values ...ref.Val) ref.Val {
		t, ok := values[0].(types.Timestamp)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		return types.Timestamp{Time: t.In(zone)}.Receive(function, "", nil)
	}), nil
}
