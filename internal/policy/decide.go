package policy

import (
	"errors"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// Decision is what a policy says about an event.
type Decision struct {
	Verdict room.Verdict
	// Rule is the number of the rule that denied or failed, from 1, or 0.
	Rule int
}

// says is what the rules say about an event.
type says struct {
	denies   bool
	reason   string // of the denial
	warnings []string
	extend   *room.Extension
	modify   map[string]any // a merge patch of the room
}

// Decide evaluates the rules for an event. The documents are those that the manifest names. An error means
// that a rule failed and no rule denied.
func (p *Policy) Decide(e expression.Event, params expression.Params) (Decision, error) {
	var s says
	var failed error
	var failedRule int
	evaluation := p.language.Evaluation(e, params)
	defer evaluation.Close()
	for n, r := range p.rules {
		err := r.apply(evaluation, &s)
		if s.denies {
			return Decision{room.Verdict{Verdict: room.Deny, Reason: s.reason}.WithinBounds(), n + 1}, nil
		}
		if err != nil && failed == nil {
			failed, failedRule = err, n+1
		}
		if errors.Is(err, expression.ErrTooCostly) {
			break
		}
	}
	if failed != nil {
		return Decision{Rule: failedRule}, failed
	}
	v, err := s.verdict(p.on)
	return Decision{Verdict: v}, err
}

// verdict returns the verdict of rules that do not deny, validated as that of a worker.
func (s says) verdict(i room.Interface) (room.Verdict, error) {
	v := room.Verdict{Verdict: room.Allow, Warnings: s.warnings, Extend: s.extend}
	if s.extend == nil && s.modify == nil {
		return v.WithinBounds(), nil
	}
	var err error
	if s.modify != nil {
		if v.Modify, err = room.Encode(s.modify); err != nil {
			return v, err
		}
	}
	data, err := room.Encode(v)
	if err != nil {
		return v, err
	}
	return room.ParseVerdict(i, data)
}
