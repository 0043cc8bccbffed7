package condition

import (
	"encoding/json"
	"math"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// adapter makes values of Go values, one level at a time: what lies in a list or a map is made a
// value when it is read.
type adapter struct{}

func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewList(a, v)
	case json.Number:
		return fromNumber(v)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// exactInts is where doubles stop to hold every whole number.
const exactInts = 1 << 53

// fromNumber is an int for a whole number of 64 bits however it is written, so that 5, 5.0 and 5e0
// are the same, and the nearest double for any other. What is too large for a double is infinite.
func fromNumber(n json.Number) ref.Val {
	if i, err := n.Int64(); err == nil {
		return types.Int(i)
	}
	f, err := n.Float64()
	if err != nil && !math.IsInf(f, 0) {
		return types.NewErr("%q is no number", n.String())
	}
	if f == math.Trunc(f) && math.Abs(f) <= exactInts {
		return types.Int(f)
	}
	return types.Double(f)
}
