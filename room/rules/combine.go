package rules

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/roombus/roombus/room"
)

// Answer is the result of asking one app about a draft. Outcome is empty while the answer is outstanding.
type Answer struct {
	App       string
	Essential bool // for this interface
	Shadow    bool
	Outcome   room.Outcome
	// Unheard is set if the service did not wait for the answer, because it could no longer change the
	// decision.
	Unheard bool
	// Hurried is set if the command left the app less than its fair time. If the app then gives no
	// verdict, it counts as not asked, and the command cannot continue.
	Hurried bool
	// Reinvoked is set if the app is asked again, about the final draft.
	Reinvoked bool
	Reason    string // of a denial or a missing verdict
	Rule      int    // of a policy that denied or failed, from 1
	Verdict   room.Verdict
	// Modified is the room as changed by the verdict, as JSON.
	Modified []byte
	Took     time.Duration
}

// Settled reports whether outstanding answers, whose Outcome is empty, cannot change the decision: the
// first app in order that denies the action is known, or only answers of shadows are outstanding.
func Settled(answers []Answer) bool {
	return DenialSettled(answers) || !slices.ContainsFunc(answers, func(a Answer) bool { return !a.Shadow && a.Outcome == "" })
}

// DenialSettled reports whether the first app in order that denies the action is known.
func DenialSettled(answers []Answer) bool {
	for n := range answers {
		switch a := &answers[n]; {
		case a.Shadow:
		case a.Outcome == "":
			return false
		case a.Outcome == room.Denied:
			return true
		}
	}
	return false
}

// Combine merges the answers for one interface, in the order of the apps, into the draft. It
// records every outcome, and applies the extensions and modifications of allowing apps. If one cannot
// be applied, it is dropped and counts as that app's failure. The changes of a shadow are recorded, not
// applied. Combine changes none of its arguments.
//
// It also returns the answers as they count: the outcome of an app whose change was dropped is failed,
// and long reasons are shortened.
//
// An error means that the action must not happen: an app denied it (prevented, user_not_allowed), an
// essential app gave no usable answer (essential_app_unavailable), or an app gave no answer in the
// short time that the command left it (deadline_exceeded). A denial takes precedence over a missing
// answer, and of several apps the first in order counts. The error carries every outcome.
func Combine(d Draft, iface room.Interface, answers []Answer) (Draft, []Answer, error) {
	own := false // the answers have been copied
	d.Data.Apps = slices.Grow(slices.Clip(d.Data.Apps), len(answers))
	d.Data.Warnings = slices.Clip(d.Data.Warnings)
	var denied, absent *Answer
	var hurried bool // absent had too little time
	for n := range answers {
		a := &answers[n]
		if !own && (a.adds() || a.Reason != "") { // then it may change
			answers, own = slices.Clone(answers), true
			a = &answers[n]
		}
		unasked := a.unasked()
		var changed []string
		if a.Outcome == room.Allowed && a.adds() {
			next, err := d.apply(*a)
			if err != nil {
				a.Outcome, a.Reason = room.Failed, err.Error()
			} else {
				changed = d.changes(next)
			}
			if err == nil && !a.Shadow {
				d = next
			}
		}
		if a.Reason != "" {
			a.Reason = room.Shorten(a.Reason, room.MaxReasonBytes) // an event has it once, an error several times
		}
		d.Data.Apps = append(d.Data.Apps, a.record(iface, changed))
		switch {
		case a.Shadow:
		case a.Outcome == room.Denied && denied == nil:
			denied = a
		case absent != nil:
		case unasked:
			absent, hurried = a, true
		case a.Essential && !a.Outcome.Answered():
			absent = a
		}
	}
	d.fitOutcomes()
	switch {
	case denied != nil:
		return d, answers, denied.denial(d)
	case hurried:
		return d, answers, absent.hurry(d, iface)
	case absent != nil:
		return d, answers, absent.block(d, iface)
	}
	return d, answers, nil
}

// EveryAppAnswered reports whether every app asked so far, except for shadows, gave a verdict.
func (d Draft) EveryAppAnswered() bool {
	return d.Data.Cut.Outcomes == 0 && !slices.ContainsFunc(d.Data.Apps, func(o room.AppOutcome) bool { return !o.Shadow && !o.Outcome.Answered() })
}

// unasked reports whether the app gave no verdict and had less than its fair time. A failure counts too:
// the handler may have failed because of its short deadline.
func (a *Answer) unasked() bool {
	return a.Hurried && !a.Shadow && (a.Outcome == room.TimedOut || a.Outcome == room.Failed)
}

// adds reports whether the verdict contains an extension, a modification or a warning.
func (a *Answer) adds() bool {
	return a.Verdict.Extend != nil || a.Modified != nil || len(a.Verdict.Warnings) > 0
}

// apply returns the draft with the extension, the modification and the warnings of an allowing app.
func (d Draft) apply(a Answer) (Draft, error) {
	var err error
	switch {
	case a.Verdict.Extend != nil:
		d, err = d.extend(*a.Verdict.Extend)
	case a.Modified != nil:
		d, err = d.modify(a.Modified)
	}
	if err != nil {
		return d, err
	}
	d.Data.Warnings = append(d.Data.Warnings, a.Verdict.Warnings...)
	return d, nil
}

// extend adds custom fields and members. A custom field that already exists is a conflict: then
// the whole extension is dropped.
func (d Draft) extend(x room.Extension) (Draft, error) {
	r := d.Data.Room
	r.CustomFields = maps.Clone(r.CustomFields)
	if r.CustomFields == nil {
		r.CustomFields = make(map[string]any, len(x.CustomFields))
	}
	for _, key := range slices.Sorted(maps.Keys(x.CustomFields)) {
		if _, taken := r.CustomFields[key]; taken {
			return d, fmt.Errorf("conflict: custom field %q is set already; the extension is dropped", key)
		}
		r.CustomFields[key] = x.CustomFields[key]
	}
	for n := range x.Members {
		if err := x.Members[n].ValidateSize("member"); err != nil {
			return d, fmt.Errorf("the extension is dropped: %w", err)
		}
	}
	members := room.DistinctUsers(slices.Concat(d.Data.Members, x.Members))
	if others := len(members) - 1; others > room.MaxNewMembers && len(x.Members) > 0 {
		return d, fmt.Errorf("the extension is dropped: it makes %d members; at most %d are allowed", others, room.MaxNewMembers)
	}
	r.MemberCount = len(members)
	if err := r.Validate(); err != nil {
		return d, fmt.Errorf("the extension is dropped: %w", err)
	}
	extended := d
	extended.Data.Room, extended.Data.Members = r, members
	if err := extended.fits(); err != nil {
		return d, fmt.Errorf("the extension is dropped, the event would be too large: %w", err)
	}
	return extended, nil
}

// modify replaces the room by the app's modified room. The app cannot change the fields that the
// service maintains.
func (d Draft) modify(record []byte) (Draft, error) {
	was := d.Data.Room
	r := room.Room{DisplaySystemMessages: true} // the default, for a patch that removes the field
	if err := room.Decode(record, &r); err != nil {
		return d, fmt.Errorf("the modification is dropped: %w", err)
	}
	for _, fixed := range []struct {
		field string
		same  bool
	}{
		{"id", r.ID == was.ID},
		{"createdAt", r.CreatedAt.Equal(was.CreatedAt)},
		{"memberCount", r.MemberCount == was.MemberCount},
		{"version", r.Version == was.Version},
	} {
		if !fixed.same {
			return d, fmt.Errorf("the modification is dropped: %s cannot be changed", fixed.field)
		}
	}
	if err := r.Validate(); err != nil {
		return d, fmt.Errorf("the modification is dropped: %w", err)
	}
	members := room.DistinctUsers(append([]room.User{r.Creator}, d.Data.Members...))
	r.MemberCount = len(members)
	modified := d
	modified.Data.Room, modified.Data.Members = r, members
	if err := modified.fits(); err != nil {
		return d, fmt.Errorf("the modification is dropped, the event would be too large: %w", err)
	}
	return modified, nil
}

func (a *Answer) record(iface room.Interface, changed []string) room.AppOutcome {
	ms := float64(a.Took) / float64(time.Millisecond)
	return room.AppOutcome{
		App: a.App, Interface: iface, Outcome: a.Outcome, Reason: a.Reason, Rule: a.Rule,
		Ms: math.Round(ms*1000) / 1000, Changed: changed, Shadow: a.Shadow, Reinvoked: a.Reinvoked,
	}
}

func (a Answer) denial(d Draft) *room.Error {
	e := room.Errorf(d.Event.DenialCode(), "app %s denied it", a.App)
	if a.Reason != "" {
		e.Message += ": " + a.Reason
	}
	return a.refusal(e, d)
}

func (a Answer) block(d Draft, iface room.Interface) *room.Error {
	e := room.Errorf(room.CodeEssentialAppUnavailable, "app %s is essential for %s and gave no usable answer: %s", a.App, iface, a.Outcome)
	if a.Reason != "" {
		e.Message += ": " + a.Reason
	}
	return a.refusal(e, d)
}

func (a Answer) hurry(d Draft, iface room.Interface) *room.Error {
	return a.refusal(room.Errorf(room.CodeDeadlineExceeded,
		"the command's time ran out before app %s had its own for %s; send the command again with the same id and more time", a.App, iface), d)
}

// refusal adds the app that caused the error, and all outcomes, to the error.
func (a Answer) refusal(e *room.Error, d Draft) *room.Error {
	e.App, e.Reason, e.Apps, e.Cut = a.App, a.Reason, d.Data.Apps, d.Data.Cut
	return e
}
