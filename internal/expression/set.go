package expression

import (
	"encoding/json"
	"math"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// set is a list of scalar values that is searched in one step, however long it is.
type set struct {
	traits.Lister
	members map[any]struct{}
}

// smallList is the length up to which a list is as fast as a set.
const smallList = 8

// setOrList returns a set, or the list unchanged if it is small or has an array, an object or a number that
// fromNumber cannot convert.
func setOrList(list []any) any {
	if len(list) <= smallList {
		return list
	}
	members := make(map[any]struct{}, len(list))
	for _, v := range list {
		key, ok := rawKey(v)
		if !ok {
			return list
		}
		members[key] = struct{}{}
	}
	return &set{types.NewList(adapter{}, list), members}
}

// Contains reports whether an element equals the value.
func (s *set) Contains(v ref.Val) ref.Val {
	key, ok := keyOf(v)
	if !ok {
		return types.False // no element equals a value of another type
	}
	_, found := s.members[key]
	return types.Bool(found)
}

// rawKey returns the key of a decoded JSON value. ok is false if it has none.
func rawKey(v any) (key any, ok bool) {
	switch v := v.(type) {
	case nil:
		return types.NullValue, true
	case string, bool:
		return v, true
	case json.Number:
		return keyOf(fromNumber(v))
	}
	return nil, false
}

// keyOf returns the key of a value. Two values of any types are equal if their keys are.
func keyOf(v ref.Val) (key any, ok bool) {
	switch v := v.(type) {
	case types.Null:
		return v, true
	case types.String:
		return string(v), true
	case types.Bool:
		return bool(v), true
	case types.Int:
		return int64(v), true
	case types.Uint:
		return wholeKey(uint64(v)), true
	case types.Double:
		return doubleKey(float64(v)), true
	}
	return nil, false
}

func wholeKey(u uint64) any {
	if u <= math.MaxInt64 {
		return int64(u)
	}
	return u
}

// doubleKey returns the key of the int or uint that equals the double, if there is one.
func doubleKey(d float64) any {
	const two63, two64 = 1 << 63, 1 << 64
	switch {
	case d != math.Trunc(d): // also NaN
		return d
	case d >= -two63 && d < two63:
		return int64(d)
	case d >= two63 && d < two64:
		return uint64(d)
	}
	return d
}
