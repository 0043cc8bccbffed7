package roomsvc

import (
	"fmt"

	"github.com/roombus/roombus/condition"
	"github.com/roombus/roombus/room"
)

// contact is an app as it is asked about one interface.
type hook struct {
	manifest  room.Manifest // the one that counts
	iface     room.Interface
	subject   string               // where it is asked
	retry     string               // and where once more
	condition *condition.Condition // nil: everything concerns the app
	broken    error                // why the condition cannot be used
	breaker   *breaker
	stats     *hookStats
}

// spare is the answer of an app about a draft if it can be known without asking it, as also
// when the pre-event cannot be made (unsaid); otherwise it has no outcome.
func (k *hook) answerWithoutAsking(c room.Command, d *room.Draft, unsaid error) room.Answer {
	a := room.Answer{App: k.manifest.ID, Essential: k.manifest.Essential(k.iface), Shadow: k.manifest.Shadow}
	concerned, err := k.concerned(c, d)
	switch {
	case err != nil && a.Essential:
		a.Outcome, a.Reason = room.Failed, fmt.Sprintf("its condition cannot be evaluated: %v", err)
	case err == nil && !concerned:
		a.Outcome, a.Reason = room.Skipped, "its condition does not hold"
	case !k.manifest.IsEnabled():
		a.Outcome, a.Reason = room.Unavailable, "disabled"
	case unsaid != nil:
		a.Outcome, a.Reason = room.Failed, unsaid.Error()
	case err != nil: // it is asked: a client may have written what cannot be evaluated
		a.Reason = fmt.Sprintf("asked, since its condition cannot be evaluated: %v", err)
	}
	return a
}

func (k *hook) concerned(c room.Command, d *room.Draft) (bool, error) {
	if k.condition == nil {
		return true, k.broken
	}
	return k.condition.Holds(condition.Event{ID: c.ID, Time: c.Time, Data: d.Data})
}

// enforcedEssential reports whether the action is blocked when the app cannot answer.
func (k *hook) enforcedEssential() bool {
	return k.manifest.Essential(k.iface) && !k.manifest.Shadow
}
