package room

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Answer is how asking one app about a draft ended; without an Outcome it has not yet.
type Answer struct {
	App       string
	Essential bool // for this interface
	Shadow    bool
	Outcome   Outcome
	// Unheard: nothing depended on it any more, so it was not waited for.
	Unheard bool
	// Hurried: the command left it less than its fair time. Without an answer it has not been
	// asked, and the command cannot go on.
	Hurried bool
	// Reinvoked: it was asked before, and is asked again about the final draft.
	Reinvoked bool
	Reason    string // of a denial, or why there is no verdict
	Verdict   Verdict
	// Modified is the room as the verdict would have it, as JSON.
	Modified []byte
	Took     time.Duration
}

// Settled reports whether answers still to come, whose Outcome is empty, cannot change what
// becomes of the action: the first app in order that has denied it is known, or only shadows
// are missing.
func Settled(answers []Answer) bool {
	for _, a := range answers {
		switch {
		case a.Shadow:
		case a.Outcome == "":
			return false
		case a.Outcome == Denied:
			return true
		}
	}
	return true
}

// Combine takes the answers to one phase, in the order of the apps, into the draft: it
// records every outcome, merges what apps added, and replaces what one changed. What cannot
// be merged counts as that app's failure, in its answer too, and leaves the draft alone. Of a
// shadow it is recorded what it would have done.
//
// An error means that the action must not be: an app denied it (prevented, user_not_allowed), an
// essential app gave no usable answer (essential_app_unavailable), or an app gave none in the
// little time that the command left it (deadline_exceeded). A denial wins over an absence, and
// among several the first app in order. The error carries every outcome.
func Combine(d Draft, phase Interface, answers []Answer) (Draft, error) {
	d.Data.Apps = slices.Grow(slices.Clip(d.Data.Apps), len(answers))
	d.Data.Warnings = slices.Clip(d.Data.Warnings)
	var denied, absent *Answer
	var hurried bool // why the app is absent
	for n := range answers {
		a := &answers[n]
		unasked := a.unasked()
		var changed []string
		if a.Outcome == Allowed && a.adds() {
			next, err := d.apply(*a)
			if err != nil {
				a.Outcome, a.Reason = Failed, err.Error()
			} else {
				changed = d.changes(next)
			}
			if err == nil && !a.Shadow {
				d = next
			}
		}
		a.Reason = cut(a.Reason) // it stands in the event, and several times in an error
		d.Data.Apps = append(d.Data.Apps, a.record(phase, changed))
		switch {
		case a.Shadow:
		case a.Outcome == Denied && denied == nil:
			denied = a
		case absent != nil:
		case unasked:
			absent, hurried = a, true
		case a.Essential && !a.Outcome.Answered():
			absent = a
		}
	}
	d.fitSaid()
	switch {
	case denied != nil:
		return d, denied.denial(d)
	case hurried:
		return d, absent.hurry(d, phase)
	case absent != nil:
		return d, absent.block(d, phase)
	}
	return d, nil
}

// EveryAppAnswered reports whether each app asked so far that is no shadow gave a verdict.
func (d Draft) EveryAppAnswered() bool {
	return d.Data.Cut.Outcomes == 0 && !slices.ContainsFunc(d.Data.Apps, func(o AppOutcome) bool { return !o.Shadow && !o.Outcome.Answered() })
}

// unasked reports whether the app had no fair time to answer in. An error in a hurry counts as
// none: the handler may have given up because it saw how little time there was.
func (a *Answer) unasked() bool {
	return a.Hurried && !a.Shadow && (a.Outcome == TimedOut || a.Outcome == Failed)
}

// adds reports whether the app says more than that it allows the action.
func (a *Answer) adds() bool {
	return a.Verdict.Extend != nil || a.Modified != nil || len(a.Verdict.Warnings) > 0
}

// apply returns the draft with what an allowing app adds, changes and warns of.
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

// extend adds custom fields and members. A field that is there already is a conflict: then
// nothing of the extension is taken.
func (d Draft) extend(x Extension) (Draft, error) {
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
		if err := x.Members[n].fits("member"); err != nil {
			return d, fmt.Errorf("the extension is dropped: %w", err)
		}
	}
	members := distinct(slices.Concat(d.Data.Members, x.Members))
	if others := len(members) - 1; others > MaxNewMembers && len(x.Members) > 0 {
		return d, fmt.Errorf("the extension is dropped: it makes %d members; at most %d are allowed", others, MaxNewMembers)
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

// modify replaces the room by what an app made of it. What the service itself keeps stays.
func (d Draft) modify(record []byte) (Draft, error) {
	was := d.Data.Room
	r := Room{DisplaySystemMessages: true} // the default, for a patch that removes the field
	if err := Decode(record, &r); err != nil {
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
	members := distinct(append([]User{r.Creator}, d.Data.Members...))
	r.MemberCount = len(members)
	modified := d
	modified.Data.Room, modified.Data.Members = r, members
	if err := modified.fits(); err != nil {
		return d, fmt.Errorf("the modification is dropped, the event would be too large: %w", err)
	}
	return modified, nil
}

func (a Answer) record(phase Interface, changed []string) AppOutcome {
	ms := float64(a.Took) / float64(time.Millisecond)
	return AppOutcome{
		App: a.App, Interface: phase, Outcome: a.Outcome, Reason: a.Reason,
		Ms: math.Round(ms*1000) / 1000, Changed: changed, Shadow: a.Shadow, Reinvoked: a.Reinvoked,
	}
}

func (a Answer) denial(d Draft) *Error {
	e := Errorf(d.Event.DenialCode(), "app %s denied it", a.App)
	if a.Reason != "" {
		e.Message += ": " + a.Reason
	}
	return a.refusal(e, d)
}

// cut keeps a reason from filling a message.
func cut(reason string) string { return cutTo(reason, MaxReasonBytes) }

// cutTo makes a text valid UTF-8 of at most that many bytes, a mark where it is cut included.
func cutTo(s string, most int) string {
	const mark = "…"
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= most {
		return s
	}
	end := most - len(mark)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

func (a Answer) block(d Draft, phase Interface) *Error {
	e := Errorf(CodeEssentialAppUnavailable, "app %s is essential for %s and gave no usable answer: %s", a.App, phase, a.Outcome)
	if a.Reason != "" {
		e.Message += ": " + a.Reason
	}
	return a.refusal(e, d)
}

func (a Answer) hurry(d Draft, phase Interface) *Error {
	return a.refusal(Errorf(CodeDeadlineExceeded,
		"the command's time ran out before app %s had its own for %s; send the command again with the same id and more time", a.App, phase), d)
}

// refusal is an error with the app that it is for and what every app said.
func (a Answer) refusal(e *Error, d Draft) *Error {
	e.App, e.Reason, e.Apps, e.Cut = a.App, a.Reason, d.Data.Apps, d.Data.Cut
	return e
}
