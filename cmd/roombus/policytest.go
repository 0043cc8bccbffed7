package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/internal/policytest"
	"github.com/roombus/roombus/room"
)

// errTests is returned when tests of policies have failed.
var errTests = errors.New("tests of policies have failed")

// errEvaluation is returned when a policy has failed for the event that --event gives.
var errEvaluation = errors.New("a policy could not be evaluated")

// policyTest has the flags of policy test.
type policyTest struct {
	out    *output
	event  string
	at     string
	on     string
	params []string
}

func (p *policies) test() *cobra.Command {
	t := &policyTest{out: &p.out}
	c := &cobra.Command{
		Use: "test FILE|-", Short: "Run the tests in a file of policies, without a service",
		Long: `test runs the tests in a file of policies, without a service, and exits with 1 if one of them has
failed. A test has an event and the expected outcome:

  tests:
    - name: a banned user is refused
      interface: PreRoomUserJoined      # may be left out if the policy has one interface
      event: {joiningUser: {id: eve}}   # the body of the pre-event, as in docs/wire.md
      time: 2026-01-01T12:00:00Z        # of the command; this is the default
      params: {bans: {ids: [eve]}}
      expect: {outcome: denied, rule: 1, reason: banned}

The event is completed: the room is a channel with the id room and the creator creator, and the user
is user. After an update, fields that the event does not name are as before. expect may
have outcome (allowed, denied, failed or skipped), rule, reason, warnings, and for
PreRoomCreateExtend and PreRoomCreateModify the fields of the room and the ids of its members as they
would be created. Only the fields that are given are compared. A policy is tested as if it were
enabled and no shadow.

With --event, test evaluates the policies for one pre-event in a JSON file, and prints their outcomes.
It then exits with 1 if a policy has failed.`,
		Example: `  roombus policy test policy.yaml
  roombus policy test policy.yaml --event event.json --param bans=bans.json`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			documents, err := readPolicies(c, args[0])
			if err != nil {
				return err
			}
			params, err := t.documents(c, documents)
			if err != nil {
				return err
			}
			if t.event != "" {
				return t.evaluate(c, documents, params)
			}
			if t.on != "" || t.at != "" {
				return usage(c, "--interface and --time go with --event")
			}
			return t.run(c.OutOrStdout(), args[0], documents, params)
		},
	}
	c.Flags().StringVar(&t.event, "event", "", "file with the body of a pre-event, JSON, to evaluate the policies for")
	c.Flags().StringVar(&t.on, "interface", "", "with --event: the interface, if the policies have several")
	c.Flags().StringVar(&t.at, "time", "", "with --event: time of the command, such as 2026-01-02T15:04:05Z (default now)")
	c.Flags().StringArrayVar(&t.params, "param", nil, "document that the policies read, as NAME=FILE; repeatable")
	return c
}

// documents reads the files of --param.
func (t *policyTest) documents(c *cobra.Command, policies []policyfile.Document) (map[string]json.RawMessage, error) {
	all := make(map[string]json.RawMessage)
	for _, given := range t.params {
		name, file, ok := strings.Cut(given, "=")
		if !ok {
			return nil, usage(c, "--param must be NAME=FILE, not %q", given)
		}
		if !slices.ContainsFunc(policies, func(d policyfile.Document) bool { return slices.Contains(d.Manifest.Params, name) }) {
			return nil, usage(c, "--param: no policy in the file reads %q", name)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, usage(c, "--param: %v", err)
		}
		all[name] = data
	}
	return all, nil
}

// run runs the tests of all policies.
func (t *policyTest) run(w io.Writer, file string, documents []policyfile.Document, params map[string]json.RawMessage) error {
	var all []policytest.Result
	var untested []string
	for _, d := range documents {
		results, err := policytest.Run(d, params)
		if err != nil {
			return policyfile.Wrong(file, d.Manifest.ID, err)
		}
		if len(results) == 0 {
			untested = append(untested, d.Manifest.ID)
		}
		all = append(all, results...)
	}
	if err := t.show(w, all, untested); err != nil {
		return err
	}
	if _, failed := policytest.Summary(all); failed > 0 {
		return errTests
	}
	return nil
}

func (t *policyTest) show(w io.Writer, all []policytest.Result, untested []string) error {
	if t.out.json {
		for _, r := range all {
			if err := writeJSON(w, r); err != nil {
				return err
			}
		}
		return nil
	}
	p := paintFor(w)
	if len(all) > 0 {
		table := newTable(w, "POLICY\tTEST\tRESULT\tEXPECTED\tACTUAL")
		for _, r := range all {
			expected, actual := r.Text()
			result := "ok"
			if !r.OK {
				result = p.as("FAIL", color.FgRed)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Policy, plain(r.Case), result, plain(expected), plain(actual))
		}
		if err := table.Flush(); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	for _, id := range untested {
		fmt.Fprintf(w, "%s has no tests\n", id)
	}
	if summary, _ := policytest.Summary(all); len(all) > 0 {
		fmt.Fprintln(w, summary)
	}
	return nil
}

// evaluate evaluates the policies for one event.
func (t *policyTest) evaluate(c *cobra.Command, documents []policyfile.Document, params map[string]json.RawMessage) error {
	at := time.Now().UTC().Truncate(time.Microsecond)
	if t.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, t.at); err != nil {
			return usage(c, "--time must be a time such as 2026-01-02T15:04:05Z, not %q", t.at)
		}
	}
	body, err := os.ReadFile(t.event)
	if err != nil {
		return usage(c, "--event: %v", err)
	}
	on, err := t.interfaceOf(c, documents)
	if err != nil {
		return err
	}
	e, err := policytest.Event(on, body, at)
	if err != nil {
		return policyfile.Wrong(t.event, "", err)
	}
	failed := false
	for _, d := range documents {
		if !d.Manifest.Has(on) {
			continue
		}
		p, err := policytest.New(d.Manifest)
		if err != nil {
			return err
		}
		read, err := p.Documents(params)
		if err != nil {
			return policyfile.Wrong("--param", "", err)
		}
		outcome := p.Evaluate(on, e, read)
		failed = failed || outcome.Outcome == room.Failed
		if err := t.out.object(c.OutOrStdout(), outcome, func(w io.Writer) { showOutcome(w, outcome) }); err != nil {
			return err
		}
	}
	if failed {
		return errEvaluation
	}
	return nil
}

// interfaceOf returns the interface of the event: --interface, or the only one that the policies have.
func (t *policyTest) interfaceOf(c *cobra.Command, documents []policyfile.Document) (room.Interface, error) {
	var all []string
	for _, d := range documents {
		for _, i := range d.Manifest.Implements {
			if !slices.Contains(all, string(i)) {
				all = append(all, string(i))
			}
		}
	}
	switch {
	case slices.Contains(all, t.on):
		return room.Interface(t.on), nil
	case t.on == "" && len(all) == 1:
		return room.Interface(all[0]), nil
	case t.on == "":
		return "", usage(c, "choose the interface of the event with --interface: %s", strings.Join(all, ", "))
	}
	return "", usage(c, "--interface: no policy in the file is for %q; choose from %s", t.on, strings.Join(all, ", "))
}

func showOutcome(w io.Writer, o policytest.Outcome) {
	p := paintFor(w)
	p.verdict(w, o.AppOutcome)
	for _, says := range o.Warnings {
		p.warning(w, says)
	}
	if o.Outcome != room.Allowed || o.Room == nil {
		return
	}
	fields := fieldsOf(o.Room)
	for _, name := range o.Changed {
		if name != "members" {
			fmt.Fprintf(w, "    %s: %s\n", plain(name), valueOf(fields, name))
		}
	}
	if slices.Contains(o.Changed, "members") {
		ids := make([]string, 0, len(o.Members))
		for _, m := range o.Members {
			ids = append(ids, m.ID)
		}
		fmt.Fprintf(w, "    members: %s\n", plain(strings.Join(ids, ", ")))
	}
}
