package policytest

import (
	"fmt"
	"strings"
	"time"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policy"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// Policy is a compiled policy.
type Policy struct {
	manifest   room.Manifest
	conditions map[room.Interface]*expression.Condition
	rules      map[room.Interface]*policy.Policy
}

// Outcome is the outcome of a policy for an event.
type Outcome struct {
	room.AppOutcome
	Warnings []string `json:"warnings,omitempty"`
	// Room and Members are those that the service would create. They are set for interfaces that change
	// them.
	Room    *room.Room  `json:"room,omitempty"`
	Members []room.User `json:"members,omitempty"`
}

// New compiles a valid manifest.
func New(m room.Manifest) (*Policy, error) {
	p := &Policy{manifest: m}
	var err error
	if p.conditions, err = expression.CompileAll(m); err != nil {
		return nil, err
	}
	p.rules, err = policy.CompileAll(m)
	return p, err
}

// Interface returns the interface of this name. If the name is empty, it is the policy's only interface.
func (p *Policy) Interface(name room.Interface) (room.Interface, error) {
	all := p.manifest.Implements
	switch {
	case name == "" && len(all) == 1:
		return all[0], nil
	case p.manifest.Has(name):
		return name, nil
	}
	var names []string
	for _, i := range all {
		names = append(names, string(i))
	}
	if name == "" {
		return "", fmt.Errorf("the policy has several interfaces; choose one: %s", strings.Join(names, ", "))
	}
	return "", fmt.Errorf("the policy has no interface %.80q; it has %s", string(name), strings.Join(names, ", "))
}

// Evaluate returns the outcome for an event.
func (p *Policy) Evaluate(i room.Interface, e expression.Event, params expression.Params) Outcome {
	d := rules.Draft{Event: i.Event(), Data: *e.Data, Bounds: bounds}
	answer := rules.Answer{App: p.manifest.ID, Essential: p.manifest.Essential(i)}
	began := time.Now()
	p.decide(i, e, params, &answer)
	answer.Took = time.Since(began)
	d, _, _ = rules.Combine(d, i, []rules.Answer{answer}) // the error says the same as the outcome
	out := Outcome{AppOutcome: d.Data.Apps[0], Warnings: d.Data.Warnings}
	if i.Content() != room.ContentNone {
		out.Room, out.Members = &d.Data.Room, d.Data.Members
	}
	return out
}

// decide sets the answer as the room service does.
func (p *Policy) decide(i room.Interface, e expression.Event, params expression.Params, a *rules.Answer) {
	if c := p.conditions[i]; c != nil {
		switch holds, err := c.Holds(e); {
		case err != nil && a.Essential:
			a.Outcome, a.Reason = room.Failed, fmt.Sprintf("its condition cannot be evaluated: %v", err)
			return
		case err == nil && !holds:
			a.Outcome, a.Reason = room.Skipped, "its condition does not hold"
			return
		}
	}
	decision, err := p.rules[i].Decide(e, params)
	a.Rule = decision.Rule
	if err == nil {
		a.Verdict, a.Reason = decision.Verdict, decision.Verdict.Reason
		a.Outcome = a.Verdict.Verdict.Outcome()
		a.Modified, err = a.Verdict.Modified(e.Data.Room)
	}
	if err != nil {
		a.Outcome, a.Reason = room.Failed, err.Error()
	}
}
