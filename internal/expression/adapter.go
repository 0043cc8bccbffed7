package expression

import (
	"encoding/json"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// adapter converts Go values to CEL values, one level at a time: it converts the elements of a list or a
// map when they are read.
type adapter struct{}

func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case ref.Val:
		return v
	case map[string]any:
		return newDictionary(v)
	case []any:
		return types.NewList(a, v)
	case json.Number:
		return fromNumber(v)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}
