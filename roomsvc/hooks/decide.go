package hooks

import (
	"time"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// decide sets the answer of a policy, which is evaluated here.
func (k *hook) decide(e expression.Event, a *rules.Answer, watch *stopwatch) {
	if err := k.evaluate(e, a); err != nil {
		a.Outcome, a.Reason = room.Failed, err.Error()
	}
	a.Took = watch.lap()
}

func (k *hook) evaluate(e expression.Event, a *rules.Answer) error {
	if k.policy == nil {
		return k.unusable
	}
	decision, err := k.policy.Decide(e, k.params)
	a.Rule = decision.Rule
	if err != nil {
		return err
	}
	a.Verdict, a.Reason = decision.Verdict, decision.Verdict.Reason
	a.Modified, err = a.Verdict.Modified(e.Data.Room)
	a.Outcome = a.Verdict.Verdict.Outcome()
	return err
}

// stopwatch measures policies that are evaluated one after the other. It reads the clock once for each,
// because that takes as long as some rules.
type stopwatch struct{ last time.Time }

// lap returns the time since the last lap. It is never 0.
func (w *stopwatch) lap() time.Duration {
	last := w.last
	w.last = time.Now()
	return max(1, w.last.Sub(last))
}

// spare records that the other apps need not be asked about an action that is denied.
func (g *Result) spare() {
	for n := range g.Answers {
		if a := &g.Answers[n]; isOpen(*a) {
			a.Outcome, a.Reason = room.Skipped, "not asked: a policy denied it"
		}
	}
}
