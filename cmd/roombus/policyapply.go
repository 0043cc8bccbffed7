package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// applied is a policy of a file that is in force, as --json shows it.
type applied struct {
	ID      string   `json:"id"`
	Version string   `json:"version"`
	Changed bool     `json:"changed"`
	Notes   []string `json:"notes,omitempty"`
}

func (p *policies) apply() *cobra.Command {
	var documents []policyfile.Document
	return &cobra.Command{
		Use: "apply FILE|-", Short: "Put the policies of a file into force",
		Long: `apply registers the policies of a YAML or JSON file, or of standard input. A file may have several
documents, in YAML with --- between them. All are checked and compiled before the first is sent. A
policy is in force at every replica of the room service when apply prints its line.

A document is a manifest with rules. It may leave out implements, which is then the list of
interfaces with rules, and version: a policy that differs from the registered one gets the next
patch version, a new one gets 1.0.0. Its tests are not sent: they are for roombus policy test.`,
		Example: `  roombus policy apply policy.yaml
  roombus policy show house | sed 's/full/no place is left/; /^version:/d' | roombus policy apply -`,
		Args: exactly("FILE"),
		PreRunE: func(c *cobra.Command, args []string) (err error) {
			documents, err = readPolicies(c, args[0])
			return err
		},
		RunE: p.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
			return p.register(ctx, client, w, documents)
		}),
	}
}

// readPolicies reads the policies of a file, or of standard input.
func readPolicies(c *cobra.Command, file string) ([]policyfile.Document, error) {
	data, name, err := readInput(c, file, "the policies")
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return nil, usage(c, "%v", err)
	case err != nil:
		return nil, err
	}
	return policyfile.Read(name, data)
}

// register registers the policies that differ from the registered ones.
func (p *policies) register(ctx context.Context, client *roomclient.Client, w io.Writer, documents []policyfile.Document) error {
	apps, err := client.Apps(ctx)
	if err != nil {
		return err
	}
	var all []step
	for _, d := range documents {
		var was *room.App
		if n := slices.IndexFunc(apps, func(m room.App) bool { return m.ID == d.Manifest.ID }); n >= 0 {
			was = &apps[n]
		}
		s, err := next(d.Manifest, was)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	known, err := client.Params(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		m := s.manifest
		if s.changed {
			if m, err = client.RegisterApp(ctx, s.manifest); err != nil {
				return fmt.Errorf("%s: %w", s.manifest.ID, err)
			}
		}
		if m.Version != s.manifest.Version {
			return fmt.Errorf("%s: version %s was registered meanwhile; apply the file again", m.ID, m.Version)
		}
		done := applied{m.ID, m.Version, s.changed, append(missing(m, known), notes(m)...)}
		if err := p.out.object(w, done, func(w io.Writer) { showApplied(w, done, m) }); err != nil {
			return err
		}
	}
	return nil
}

func showApplied(w io.Writer, done applied, m room.Manifest) {
	fmt.Fprintf(w, "%s %s %s", done.ID, done.Version, map[bool]string{true: "applied", false: "unchanged"}[done.Changed])
	if state := state(m); state != "enabled" {
		fmt.Fprintf(w, ", %s", state)
	}
	fmt.Fprintln(w)
	for _, note := range done.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}

// step is what apply does with a policy.
type step struct {
	manifest room.Manifest // with a version; the one in force if it is unchanged
	changed  bool
}

// next returns what to do about a policy. was is the registered app of its id, nil if there is none.
func next(m room.Manifest, was *room.App) (step, error) {
	if was == nil {
		m.Version = cmp.Or(m.Version, policyfile.FirstVersion)
		return step{m, true}, nil
	}
	if !was.IsPolicy() {
		return step{}, &usageError{fmt.Sprintf("%s is an app with workers: choose another id, or remove the app first: roombus app remove %[1]s", m.ID)}
	}
	differs := differences(m, *was)
	latest := semver.MustParse(cmp.Or(stateOf(*was).RolledBackFrom, was.Version))
	if m.Version == "" && len(differs) == 0 {
		return step{was.Manifest, false}, nil
	}
	if m.Version == "" {
		m.Version = latest.IncPatch().String()
		return step{m, true}, nil
	}
	switch v := semver.MustParse(m.Version); {
	case v.GreaterThan(latest):
		return step{m, true}, nil
	case !v.Equal(semver.MustParse(was.Version)):
		return step{}, &usageError{fmt.Sprintf(
			"%s: version %s is not later than %s: leave the version out, or put the earlier one into force again: roombus app rollback %[1]s %[2]s", m.ID, m.Version, latest)}
	case len(differs) > 0:
		return step{}, &usageError{fmt.Sprintf(
			"%s: version %s is registered with another manifest (%s): leave the version out, or give it a later one", m.ID, m.Version, strings.Join(differs, ", "))}
	}
	return step{was.Manifest, false}, nil
}

// differences names the fields in which a policy differs from the registered one. What operators have set
// does not count.
func differences(m room.Manifest, was room.App) []string {
	o := stateOf(was).Operator
	if o.Enabled != nil {
		m.Enabled = o.Enabled
	}
	if o.Shadow != nil {
		m.Shadow = *o.Shadow
	}
	return was.Differences(m)
}

// missing warns about the documents that a policy reads and that are not there.
func missing(m room.Manifest, known []room.Param) (notes []string) {
	for _, name := range m.Params {
		if !slices.ContainsFunc(known, func(d room.Param) bool { return d.Name == name }) {
			notes = append(notes, fmt.Sprintf("there is no document %[1]s yet; put one: roombus param put %[1]s FILE", name))
		}
	}
	return notes
}

// readsParams finds the variable in an expression.
var readsParams = regexp.MustCompile(`\bparams\b`)

// notes warns about documents whose absence lets commands through.
func notes(m room.Manifest) []string {
	var open []string
	for _, i := range slices.Sorted(maps.Keys(m.Rules)) {
		reads := slices.ContainsFunc(m.Rules[i], func(r room.Rule) bool {
			return slices.ContainsFunc(slices.Collect(maps.Values(r.Expressions())), func(e room.Expression) bool {
				return readsParams.MatchString(string(e))
			})
		})
		if reads && !m.Essential(i) {
			open = append(open, string(i))
		}
	}
	if len(open) == 0 || len(m.Params) == 0 {
		return nil
	}
	essentials := open
	for _, i := range m.Essentials {
		essentials = append(essentials, string(i))
	}
	return []string{fmt.Sprintf("while a document is missing (%s), everything passes %s; to refuse it instead, add the line  essentials: [%s]",
		strings.Join(m.Params, ", "), strings.Join(open, ", "), strings.Join(slices.Sorted(slices.Values(essentials)), ", "))}
}
