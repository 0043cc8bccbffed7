package expression

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// MaxCost bounds the cost of one evaluation, in steps. Reading a variable or a field is one step, a call
// is one step, and each element that a call visits, such as those of a searched list, is one more. A step
// takes 20 to 95 ns, so an evaluation is cancelled after 2 to 10 ms (see BenchmarkGivenUp). MaxCost allows
// 20 steps for each of the 5,000 initial members that a room can have;
//
//	event.members.exists(m, m.id.startsWith("bot-"))
//
// takes 6 steps for each member. Counting them with filter takes 21, enough for 4,700 members.
const MaxCost = 100_000

// The sizes for which Compile estimates the cost of an expression. With larger data an evaluation may
// exceed MaxCost.
const (
	ordinaryMembers = 1000
	ordinaryList    = 16 // and map
	ordinaryText    = 64 // bytes
)

// affordable returns the estimated cost of an expression, or an error if it exceeds MaxCost, as for one that
// compares every member with every other member.
func (l *Language) affordable(checked *cel.Ast) (uint64, error) {
	estimate, err := l.env.EstimateCost(checked, ordinary{})
	if err != nil {
		return 0, err
	}
	if estimate.Max > MaxCost {
		return 0, fmt.Errorf("may cost %d steps for a room with %d members; at most %d are allowed", estimate.Max, ordinaryMembers, MaxCost)
	}
	return estimate.Max, nil
}

// ordinary gives the sizes of values to the library's cost estimate.
type ordinary struct{}

func (ordinary) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	most := uint64(ordinaryList)
	switch path := n.Path(); {
	case n.Type().Kind() == types.StringKind:
		most = ordinaryText
	case len(path) == 2 && path[0] == "event" && path[1] == "members":
		most = ordinaryMembers
	}
	size := cost.RangedSizeEstimate(0, most)
	return &size
}

// EstimateCallCost returns nil: the library estimates calls.
func (ordinary) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
