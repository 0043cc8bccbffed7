package expression

import (
	"encoding/json"
	"math"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// array is a long array of a document. If it has only scalar values it is searched in one step.
type array struct {
	libraryList
	of      any                 // []string if it has only texts, otherwise []any
	size    uint32              // elements at all depths
	texts   map[string]struct{} // if it has only texts
	members map[any]struct{}    // if it has only scalar values
}

// libraryList is the library's list.
type libraryList interface {
	traits.Lister
	traits.Zeroer
	types.AggregateSizeVisitor
}

// shortArray is the length up to which the library's list is as fast.
const shortArray = 8

// longArray returns an array, or the list unchanged if it is short.
func longArray(of []any) any {
	if len(of) <= shortArray {
		return of
	}
	list, _ := types.NewList(adapter{}, of).(libraryList)
	a := &array{libraryList: list, of: of, size: walker.AggregateSize(list)}
	if texts := textsOf(of); texts != nil {
		a.libraryList, _ = types.NewStringList(adapter{}, texts).(libraryList)
		a.of, a.texts = texts, make(map[string]struct{}, len(texts))
		for _, text := range texts {
			a.texts[text] = struct{}{}
		}
		return a
	}
	a.members = membersOf(of)
	return a
}

// textsOf returns the elements if all are texts, otherwise nil. They share memory: for a list of 100,000 ids
// in as many pieces of memory, each run of the garbage collector takes 8 ms longer.
func textsOf(of []any) []string {
	var all strings.Builder
	for _, v := range of {
		text, ok := v.(string)
		if !ok {
			return nil
		}
		all.WriteString(text)
	}
	texts, rest := make([]string, len(of)), all.String()
	for n, v := range of {
		text, _ := v.(string)
		texts[n], rest = rest[:len(text)], rest[len(text):]
	}
	return texts
}

// membersOf returns the keys of the elements, or nil if one of them is an array, an object or a number that
// fromNumber cannot convert.
func membersOf(of []any) map[any]struct{} {
	members := make(map[any]struct{}, len(of))
	for _, v := range of {
		key, ok := rawKey(v)
		if !ok {
			return nil
		}
		members[key] = struct{}{}
	}
	return members
}

// isSearchedInOneStep reports whether the value is such an array.
func isSearchedInOneStep(v ref.Val) bool {
	a, ok := v.(*array)
	return ok && (a.texts != nil || a.members != nil)
}

// Contains reports whether an element equals the value.
func (a *array) Contains(v ref.Val) ref.Val {
	if a.texts != nil {
		text, _ := v.(types.String)
		_, found := a.texts[string(text)]
		return types.Bool(found && v.Type() == types.StringType)
	}
	if a.members == nil {
		return a.libraryList.Contains(v)
	}
	key, ok := keyOf(v)
	if !ok {
		return types.False // no element equals a value of another type
	}
	_, found := a.members[key]
	return types.Bool(found)
}

// AggregateSize returns the number of elements at all depths.
func (a *array) AggregateSize(types.AggregateSizer) uint32 { return a.size }

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
