package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/policyfile"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// policies holds the flags that the policy commands share.
type policies struct {
	conn connection
	out  output
}

func newPolicy() *cobra.Command {
	p := &policies{}
	c := &cobra.Command{
		Use: "policy", Short: "Test policies and put them into force",
		Long: `A policy is an app that consists of rules in place of workers. The room service evaluates the rules
itself. The commands of roombus app change the settings of a policy: enable, disable, shadow and
rollback.`,
		Example: `  roombus policy init
  roombus policy test policy.yaml
  roombus policy apply policy.yaml`,
	}
	p.conn.addFlags(c)
	p.conn.addTimeout(c, 5*time.Second)
	p.out.addFlags(c)
	return group(c,
		p.apply(),
		&cobra.Command{
			Use: "ls", Aliases: aliases("ls"), Short: "List the policies in the order in which they decide",
			Long: `ls lists the policies in the order in which they decide. A star marks the interfaces that a policy is
essential for: if it fails there, the command is refused. The counters are sums over the replicas of
the room service, each since it started.`,
			Args: none("roombus policy show ID shows one policy"),
			RunE: p.conn.calling(p.list),
		},
		&cobra.Command{
			Use: "show ID", Short: "Show a policy as a file that can be applied again",
			Long: `show prints the manifest of a policy as YAML, or with --json as JSON. Settings of operators are not a
part of it; roombus app info shows them, and figures.`,
			Args: exactly("ID"),
			RunE: p.conn.calling(p.show),
		},
		p.remove(),
		p.test(),
		p.init())
}

func (p *policies) list(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
	apps, err := client.Apps(ctx)
	if err != nil {
		return err
	}
	apps = slices.DeleteFunc(apps, func(m room.App) bool { return !m.IsPolicy() })
	if p.out.json {
		for _, m := range apps {
			if err := writeJSON(w, m); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(w, "POLICY\tVERSION\tORDER\tSTATE\tRULES\tPARAMS\tDENIED\tFAILED\tINTERFACES")
	for _, m := range apps {
		s := stateOf(m)
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%s\t%d\t%d\t%s\n", m.ID, m.Version, *m.Order, state(m.Manifest), countRules(m.Manifest),
			cmp.Or(strings.Join(m.Params, " "), "-"), s.Denied-s.WouldHaveDenied, s.Failed, interfaces(m.Manifest))
	}
	return t.Flush()
}

func (p *policies) show(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
	m, err := policyOf(ctx, client, args[0], "info")
	if err != nil {
		return err
	}
	manifest := withoutOperator(m)
	if p.out.json {
		return writeJSON(w, manifest)
	}
	return policyfile.Write(w, manifest)
}

// withoutOperator returns the manifest without the settings of operators.
func withoutOperator(m room.App) room.Manifest {
	manifest, o := m.Manifest, stateOf(m).Operator
	if o.Enabled != nil {
		manifest.Enabled = nil
	}
	if o.Shadow != nil {
		manifest.Shadow = false
	}
	return manifest
}

func (p *policies) remove() *cobra.Command {
	var force bool
	const use = "remove ID"
	c := &cobra.Command{
		Use: use, Aliases: aliases(use), Short: "Remove a policy",
		Long: `remove removes a policy and its settings, and says which commands the policy no longer decides about.
The documents that it reads stay. An app with workers may have had the id before: if events still
wait for it, remove needs --force.`,
		Args: exactly("ID"),
		RunE: p.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
			m, err := policyOf(ctx, client, args[0], "remove")
			if err != nil {
				return err
			}
			n, err := droppedWith(m, force)
			if err != nil {
				return err
			}
			gone, err := client.RemoveApp(ctx, m.ID)
			if err != nil {
				return err
			}
			return p.out.object(w, removed{gone, n}, func(w io.Writer) {
				fmt.Fprintf(w, "policy %s is removed; it no longer decides about: %s\n", gone.ID, strings.Join(commandsOf(gone), ", "))
				if n > 0 {
					fmt.Fprintf(w, "post-events that waited for the app of this id and are dropped: %d\n", n)
				}
			})
		}),
	}
	c.Flags().BoolVar(&force, "force", false, "remove the policy even if post-events wait for an app of its id")
	return c
}

// policyOf returns a registered policy. For an app with workers the error names the command that is for
// apps.
func policyOf(ctx context.Context, client *roomclient.Client, id, command string) (room.App, error) {
	m, err := client.App(ctx, id)
	if err == nil && !m.IsPolicy() {
		err = &usageError{fmt.Sprintf("%s is an app with workers, not a policy; use roombus app %s %[1]s", m.ID, command)}
	}
	return m, err
}

// commandsOf lists the commands that the policy decides about, each once.
func commandsOf(m room.Manifest) []string {
	var commands []string
	for _, i := range m.Implements {
		if command := i.Event().Command(); !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	return commands
}

func countRules(m room.Manifest) (n int) {
	for _, rules := range m.Rules {
		n += len(rules)
	}
	return n
}
