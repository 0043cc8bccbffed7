package expression

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// prices returns the costs of calls, in steps. The library's own costs have three holes through which
// a short expression can run for seconds or use gigabytes. A call on values of dynamic type is one step,
// independent of the elements it visits. Comparing lists or maps costs their lengths, not the number of
// nested elements. Creating a list of lists costs one step, so applying x -> [x, x] some forty times gives
// a value whose comparison does not end.
//
// The cost of a call is added after the call. No single call takes long, because it works on the
// event, which fits into a message, or on values whose creation has been added to the cost.
type prices struct{}

const (
	bytesAStep = 10  // bytes of text read or copied in one step, as in the library's costs
	zonePrice  = 200 // reading the rules of a time zone from a file takes 7 µs
	errorPrice = 10  // an error quotes its subject
)

// CallCost returns the cost of a call, or nil to use the library's cost.
func (prices) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
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
	case matching:
		if !types.IsError(result) { // a long text is not matched
			price += matchingPrice(overload, args[0])
		}
	case making:
		price += walking(result)
	case visiting:
		price += sorting(args[0])
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
	if price <= MaxCost { // otherwise the evaluation is cancelled
		mustCompare(function, args, result)
	}
	if price < uint64(len(fewSteps)) {
		return &fewSteps[price]
	}
	return &price
}

// fewSteps has the prices of most calls, so that these allocate nothing. The library only reads them.
var fewSteps = func() (all [16]uint64) {
	for n := range all {
		all[n] = uint64(n)
	}
	return all
}()

func comparing(a, b ref.Val) uint64 {
	if isContainer(a) && isContainer(b) {
		return walking(a) + walking(b)
	}
	return min(reading(a), reading(b))
}

func searching(what, in ref.Val) uint64 {
	list, ok := in.(traits.Lister)
	switch {
	case !ok, isSearchedInOneStep(in):
		return reading(what) // to hash it
	case isContainer(what):
		return walking(what) + walking(list)
	}
	return length(list) + reading(what)
}

func joining(to, result ref.Val) uint64 {
	if _, growing := to.(traits.MutableLister); growing {
		return 0 // map and filter append one element
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

// walker counts the elements of a value at all depths. It stops when the count exceeds MaxCost.
var walker = types.NewSizeCalculator(
	types.SizeCalculatorMaxTraversal(2*MaxCost), // the elements of a map are visited twice
	types.SizeCalculatorMaxDepth(10_000),        // the maximum depth of encoding/json
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
