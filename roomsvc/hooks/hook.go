package hooks

import (
	"fmt"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policy"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// hook is an app with one pre-interface for which it is asked.
type hook struct {
	manifest  room.Manifest // the one in force
	iface     room.Interface
	essential bool // for the interface
	address
	condition *expression.Condition // nil: the app is asked about every event
	policy    *policy.Policy        // nil for an app with workers
	unusable  error                 // why the policy does not compile
	params    expression.Params     // all documents
	broken    error                 // why the condition does not compile
	breaker   *breaker
	stats     *hookStats
}

// address is where the workers of an app are.
type address struct {
	subject string // of requests
	retry   string // of retried requests
	apart   bool   // the workers are in another account
}

// answerWithoutAsking sets the answer of an app that need not be asked about an event: of a policy, or of an
// app that is not concerned or disabled. If the app must be asked the answer gets no outcome.
func (k *hook) answerWithoutAsking(e expression.Event, a *rules.Answer, watch *stopwatch) {
	a.App, a.Essential, a.Shadow = k.manifest.ID, k.essential, k.manifest.Shadow
	concerned, err := k.concerned(e)
	switch {
	case err != nil && a.Essential:
		a.Outcome, a.Reason = room.Failed, fmt.Sprintf("its condition cannot be evaluated: %v", err)
	case err == nil && !concerned:
		a.Outcome, a.Reason = room.Skipped, "its condition does not hold"
	case !k.manifest.IsEnabled():
		a.Outcome, a.Reason = room.Unavailable, "disabled"
	case k.manifest.IsPolicy():
		k.decide(e, a, watch)
	case err != nil: // the app is asked: a client may have sent a value that the condition cannot evaluate
		a.Reason = fmt.Sprintf("asked, since its condition cannot be evaluated: %v", err)
	}
}

func (k *hook) concerned(e expression.Event) (bool, error) {
	if k.condition == nil {
		return true, k.broken
	}
	return k.condition.Holds(e)
}

// about returns the event that conditions and rules are evaluated for.
func about(c rules.Command, d *rules.Draft) expression.Event {
	return expression.Event{ID: c.ID, Time: c.Time, Data: &d.Data}
}

// exported is the name of the exported inbox for the replies of workers in another account.
func (k *hook) exported() string {
	if !k.apart {
		return ""
	}
	return k.manifest.ID
}

// pingInbox is the prefix of the inbox for the workers' replies of the micro protocol, empty for workers in
// the account of the service.
func (k *hook) pingInbox() string {
	if !k.apart {
		return ""
	}
	return subjects.VerdictInboxOf(k.manifest.ID)
}

// enforcedEssential reports whether the action is blocked if the app cannot answer.
func (k *hook) enforcedEssential() bool {
	return k.essential && !k.manifest.Shadow
}
