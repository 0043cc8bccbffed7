package expression

import (
	"fmt"
	"math"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/roombus/roombus/room"
)

// toJSON converts a result to a value that encodes as JSON. What the event or a document has as JSON stays
// as it is, so that its numbers keep their digits.
func toJSON(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil //nolint:nilnil // null is a value
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, fmt.Errorf("%v is no number of JSON", v)
	case types.String:
		return string(v), nil
	case types.Timestamp, types.Duration:
		return v.ConvertToType(types.StringType).Value(), nil
	case *object[room.User]:
		return v.v, nil
	case *object[room.Room]:
		return v.v, nil
	case traits.Mapper:
		return mapToJSON(v)
	case traits.Lister:
		return listToJSON(v)
	}
	return nil, fmt.Errorf("a %s is no value of JSON", v.Type().TypeName())
}

func listToJSON(l traits.Lister) (any, error) {
	if raw, ok := l.Value().([]any); ok {
		return rawJSON(raw), nil
	}
	n, _ := l.Size().(types.Int)
	all := make([]any, 0, n)
	for at := range n {
		v, err := toJSON(l.Get(at))
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func mapToJSON(m traits.Mapper) (any, error) {
	if raw, ok := m.Value().(map[string]any); ok {
		return rawJSON(raw), nil
	}
	all := make(map[string]any)
	for at := m.Iterator(); at.HasNext() == types.True; {
		key := at.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("the key %v is no string", key.Value())
		}
		v, err := toJSON(m.Get(key))
		if err != nil {
			return nil, err
		}
		all[string(name)] = v
	}
	return all, nil
}

// rawJSON returns a copy of decoded JSON without the values of a document that replace arrays and objects.
func rawJSON(v any) any {
	switch v := v.(type) {
	case *array:
		return rawJSON(v.of)
	case *dictionary:
		return rawJSON(v.of)
	case []any:
		all := make([]any, len(v))
		for n := range v {
			all[n] = rawJSON(v[n])
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for key := range v {
			all[key] = rawJSON(v[key])
		}
		return all
	}
	return v
}
