package policytest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/room"
)

// Noon is the time of an event whose case has none, so that a test has the same outcome at any time.
var Noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// Result is the result of a case.
type Result struct {
	Policy string  `json:"policy"`
	Case   string  `json:"case"`
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"` // one for each expected field
	// Actual is the whole outcome.
	Actual Outcome `json:"actual"`
}

// Run runs the cases of a document. params are documents for cases that have none of the name. The error
// says which case cannot be run.
func Run(d policyfile.Document, params map[string]json.RawMessage) ([]Result, error) {
	p, err := New(d.Manifest)
	if err != nil {
		return nil, err
	}
	var all []Result
	for n, c := range d.Tests {
		r, err := p.run(c, params)
		if err != nil {
			return nil, fmt.Errorf("test %d: %w", n+1, err)
		}
		r.Case = cmp.Or(c.Name, fmt.Sprintf("test %d", n+1))
		all = append(all, r)
	}
	return all, nil
}

func (p *Policy) run(c policyfile.Case, params map[string]json.RawMessage) (Result, error) {
	r := Result{Policy: p.manifest.ID}
	i, err := p.Interface(c.Interface)
	if err != nil {
		return r, fmt.Errorf("interface: %w", err)
	}
	if err := checkExpect(c.Expect, i); err != nil {
		return r, fmt.Errorf("expect: %w", err)
	}
	at := Noon
	if c.Time != nil {
		at = *c.Time
	}
	e, err := Event(i, c.Event, at)
	if err != nil {
		return r, fmt.Errorf("event: %w", err)
	}
	for name := range c.Params {
		if !slices.Contains(p.manifest.Params, name) {
			return r, fmt.Errorf("params: the policy does not read %.80q; add it to the policy's params", name)
		}
	}
	documents, err := p.Documents(params, c.Params)
	if err != nil {
		return r, err
	}
	r.Actual = p.Evaluate(i, e, documents)
	r.Checks, err = compare(c.Expect, r.Actual)
	r.OK = !slices.ContainsFunc(r.Checks, func(c Check) bool { return !c.OK })
	return r, err
}

// Documents decodes the documents that the policy reads. Of two with the same name the later one counts.
func (p *Policy) Documents(all ...map[string]json.RawMessage) (expression.Params, error) {
	params := make(expression.Params)
	for _, documents := range all {
		for _, name := range slices.Sorted(maps.Keys(documents)) {
			if !slices.Contains(p.manifest.Params, name) {
				continue
			}
			d, err := expression.NewDocument(documents[name])
			if err != nil {
				return nil, fmt.Errorf("params: %s: %w", name, err)
			}
			params[name] = d
		}
	}
	return params, nil
}

// outcomes are the outcomes that a policy can have.
var outcomes = []room.Outcome{room.Allowed, room.Denied, room.Failed, room.Skipped}

func checkExpect(x policyfile.Expect, i room.Interface) error {
	switch {
	case reflect.ValueOf(x).IsZero():
		return errors.New("it is empty; expect at least an outcome")
	case x.Outcome != "" && !slices.Contains(outcomes, x.Outcome):
		return fmt.Errorf("outcome must be allowed, denied, failed or skipped, not %.80q", string(x.Outcome))
	case (x.Room != nil || x.Members != nil) && i.Content() == room.ContentNone:
		return fmt.Errorf("room and members are for %s and %s; %s changes neither", room.PreRoomCreateExtend, room.PreRoomCreateModify, i)
	}
	return nil
}

// Summary counts the results.
func Summary(all []Result) (text string, failed int) {
	for _, r := range all {
		if !r.OK {
			failed++
		}
	}
	return fmt.Sprintf("tests: %d, ok: %d, failed: %d", len(all), len(all)-failed, failed), failed
}
