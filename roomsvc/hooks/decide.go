package hooks

import (
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// decide sets the answer of a policy, which is evaluated here.
func (k *hook) decide(c rules.Command, d *rules.Draft, a *rules.Answer) {
	began := time.Now()
	if err := k.evaluate(c, d, a); err != nil {
		a.Outcome, a.Reason = room.Failed, err.Error()
	}
	a.Took = time.Since(began)
	k.stats.evaluated(a.Took)
}

func (k *hook) evaluate(c rules.Command, d *rules.Draft, a *rules.Answer) error {
	if k.policy == nil {
		return k.unusable
	}
	decision, err := k.policy.Decide(about(c, d), k.params)
	a.Rule = decision.Rule
	if err != nil {
		return err
	}
	a.Verdict, a.Reason = decision.Verdict, decision.Verdict.Reason
	a.Modified, err = a.Verdict.Modified(d.Data.Room)
	a.Outcome = a.Verdict.Verdict.Outcome()
	return err
}

// denied reports whether a policy has denied the action, and no app before it in order can deny it.
func (g *Result) denied() bool {
	for _, a := range g.Answers {
		switch {
		case a.Shadow:
		case isOpen(a):
			return false
		case a.Outcome == room.Denied:
			return true
		}
	}
	return false
}

// spare records that the other apps need not be asked about an action that is denied.
func (g *Result) spare() {
	for n := range g.Answers {
		if a := &g.Answers[n]; isOpen(*a) {
			a.Outcome, a.Reason = room.Skipped, "not asked: a policy denied it"
		}
	}
}
