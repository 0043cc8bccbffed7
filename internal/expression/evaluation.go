package expression

import (
	"sync"

	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/interpreter"

	"github.com/roombus/roombus/room"
)

// Evaluation is an event for which expressions are evaluated, one after the other. All of them together
// cost at most MaxCost. It is not safe for concurrent use.
type Evaluation struct {
	variables
	frame *interpreter.ExecutionFrame // of the library
	costs cost.Tracker                // of all expressions
}

var _ interpreter.Activation = (*variables)(nil)

// evaluations has closed evaluations. Most evaluations take less time than the making of a new one.
var evaluations = sync.Pool{New: func() any { return &Evaluation{} }}

// newTracker returns a tracker without costs. It is copied for each evaluation.
var newTracker = sync.OnceValue(func() *cost.Tracker {
	t, err := cost.NewTracker(prices{}, cost.TrackerLimit(MaxCost), cost.TrackerLimitExceededHandler(func() {
		panic(interpreter.EvalCancelledError{Message: ErrTooCostly.Error(), Cause: interpreter.CostLimitExceeded}) // as the library does
	}))
	if err != nil {
		panic(err) // only if the options above are wrong
	}
	return t
})

// Evaluation begins the evaluation of the expressions of a rule, or of several, for an event. The caller
// calls Close in the end.
func (l *Language) Evaluation(e Event, params Params) *Evaluation {
	if e.Data == nil {
		e.Data = &room.Data{}
	}
	v, _ := evaluations.Get().(*Evaluation)
	v.variables = variables{on: l.on, event: l.event, Event: e, params: params, paramsKind: l.params}
	v.costs = *newTracker()
	frame, err := interpreter.NewExecutionFrame(&v.variables)
	if err != nil {
		panic(err) // only for other variables than ours
	}
	frame.SetCostTracker(&v.costs)
	v.frame = frame
	return v
}

// Close ends the evaluation. No result of an expression refers to it.
func (e *Evaluation) Close() {
	e.frame.Close()
	*e = Evaluation{}
	evaluations.Put(e)
}
