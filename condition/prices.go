package condition

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// prices says what calls cost, in steps. The library's own prices have three holes through which
// a short expression can run for seconds or take gigabytes: a call on values whose type is not
// known beforehand is one step whatever it walks through; lists and maps are compared at the price
// of their lengths, not of what lies in them; and a list of lists is made at the price of one, so
// that x -> [x, x] some forty times over makes what takes for ever to compare.
//
// A call is charged for when it has been made. None takes long all the same, since it works on the
// event, which fits into a message, or on what has been paid for when it was made.
type prices struct{}

const (
	bytesAStep = 10  // of text that is read or copied, as in the library's prices
	zonePrice  = 200 // the rules of a time zone are read from a file, in 7 µs
	errorPrice = 10  // an error quotes what it is about
)

// CallCost is the price of a call, nil where the library's own will do.
func (prices) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	price := uint64(1)
	switch function {
	case overloads.StartsWith, overloads.EndsWith, overloads.Contains:
		return nil
	case operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		price += comparing(args[0], args[1])
	case operators.In:
		price += searching(args[0], args[1])
	case operators.Add:
		price += joining(args[0], result)
	case overloads.Matches:
		price += reading(args[0]) * bytesAStep // some 40 ns a byte
	case making:
		price += walking(result)
	default:
		for _, a := range args {
			price += reading(a)
		}
		if inZone(args) {
			price += zonePrice
		}
	}
	if types.IsError(result) {
		price += errorPrice
	}
	if price <= MaxCost { // else the evaluation is given up
		mustCompare(function, args, result)
	}
	return &price
}

func comparing(a, b ref.Val) uint64 {
	if isContainer(a) && isContainer(b) {
		return walking(a) + walking(b)
	}
	return min(reading(a), reading(b))
}

func searching(what, in ref.Val) uint64 {
	list, ok := in.(traits.Lister)
	switch {
	case !ok:
		return 0 // the key of a map
	case isContainer(what):
		return walking(what) + walking(list)
	}
	return length(list)
}

func joining(to, result ref.Val) uint64 {
	if _, growing := to.(traits.MutableLister); growing {
		return 0 // what map and filter gather, one element longer
	}
	if list, ok := result.(traits.Lister); ok {
		return length(list)
	}
	return reading(result)
}

func reading(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v) / bytesAStep)
	case types.Bytes:
		return uint64(len(v) / bytesAStep)
	}
	return 0
}

func walking(v ref.Val) uint64 { return uint64(walker.AggregateSize(v)) }

// walker counts what lies in a value, however deep. It stops where nobody can pay any more.
var walker = types.NewSizeCalculator(
	types.SizeCalculatorMaxTraversal(2*MaxCost), // what lies in a map is visited twice
	types.SizeCalculatorMaxDepth(10_000),        // the deepest that encoding/json reads
)

func isContainer(v ref.Val) bool {
	switch v.(type) {
	case traits.Lister, traits.Mapper:
		return true
	}
	return false
}

func length(l traits.Lister) uint64 {
	n, _ := l.Size().(types.Int)
	return uint64(n)
}

// inZone reports whether the call is one like time.getHours("Europe/Berlin").
func inZone(args []ref.Val) bool {
	if len(args) != 2 {
		return false
	}
	_, isTime := args[0].(types.Timestamp)
	_, isZone := args[1].(types.String)
	return isTime && isZone
}
