package condition

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// MaxCost bounds one evaluation, in steps: reading a variable or a field is one, a call is one,
// and what a call walks through, such as a list that is searched, is counted besides. A step takes
// 20 to 70 ns, so that an evaluation is given up after 3 to 10 ms (see BenchmarkGivenUp). It is 30
// steps for each of the 5,000 members that a room can be created with;
//
//	event.members.exists(m, m.id.startsWith("bot-"))
//
// takes 6, and to count them with filter 21.
const MaxCost = 150_000

// The creation that an expression must be affordable for when it is compiled. A larger one may
// still come up against MaxCost when it is evaluated.
const (
	ordinaryMembers = 1000
	ordinaryList    = 16 // and map
	ordinaryText    = 64 // bytes
)

// affordable refuses an expression that would cost too much in an ordinary case already, such as
// one that compares each member with each other.
func affordable(checked *cel.Ast) error {
	estimate, err := environment().EstimateCost(checked, ordinary{})
	if err != nil {
		return err
	}
	if estimate.Max > MaxCost {
		return fmt.Errorf("may cost %d steps for a room with %d members; at most %d are allowed", estimate.Max, ordinaryMembers, MaxCost)
	}
	return nil
}

// ordinary tells the library's estimate how large things are that it cannot know.
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

// EstimateCallCost leaves calls to the library.
func (ordinary) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
