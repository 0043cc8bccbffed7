package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roombus/roombus/internal/identity"
	"github.com/roombus/roombus/roomsvc"
)

// Run is the whole program. It runs the command that the arguments name, until the command is done
// or the context ends, and returns the exit status.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out := &checked{w: stdout, failed: stop} // a failed write stops the command
	root.SetOut(out)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if errors.Is(out.err, syscall.EPIPE) {
		return exitPipe // as in "roombus ... | head": no message
	}
	if out.err != nil {
		err = fmt.Errorf("writing the output: %w", out.err)
	}
	if err != nil {
		report(stderr, err, c)
	}
	return exitStatus(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "roombus",
		Short: "A message-bus event processor for rooms, built on NATS",
		Long: `roombus keeps rooms and their members on NATS. Before it changes anything it asks the
apps concerned; after the change it publishes an event for them.

Exit status: 0 done, 1 failed, 2 wrong usage or request, 3 denied by an app, 4 not found,
5 unavailable, 6 conflict, 130 interrupted.`,
		Version:       fmt.Sprintf("%s (revision %s)", roomsvc.Version, identity.Revision()),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetGlobalNormalizationFunc(formerNames)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "%v", err) })
	group(root, newServe(), newAuth(), newHealth(), newDemo(), newRoom(), newApp(), newPolicy(), newParam(), newEvents(), newRejections(), newDead(), newExplain(), newReplay(), newBench(), newStreams(), newBackup(), newRestore(), newVersion())
	return root
}

// streamReplicas is the flag for the number of copies of the streams.
const streamReplicas = "stream-replicas"

// formerNames accepts the former names of flags.
func formerNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if name == "replicas" {
		name = streamReplicas
	}
	return pflag.NormalizedName(name)
}

// group makes a command that only holds subcommands. Without one of them it shows its help.
func group(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.Args = cobra.ArbitraryArgs
	parent.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(c, "there is no command %q%s", args[0], suggestion(c, args[0]))
		}
		return c.Help()
	}
	parent.AddCommand(children...)
	return parent
}

// aliases returns the other names of the command with this usage line.
func aliases(use string) []string {
	switch verb, _, _ := strings.Cut(use, " "); verb {
	case "ls":
		return []string{"list"}
	case "remove":
		return []string{"rm"}
	}
	return nil
}

// suggestion suggests existing commands for an unknown name.
func suggestion(parent *cobra.Command, typed string) string {
	parent.SuggestionsMinimumDistance = max(1, min(2, len(typed)/2))
	if names := parent.SuggestionsFor(typed); len(names) > 0 {
		return ": is it " + strings.Join(names, " or ") + "?"
	}
	return ""
}

// newVersion prints the same as --version.
func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s version %s\n", c.Root().Name(), c.Root().Version)
			return err
		},
	}
}

// exactly checks the number of arguments, named as in the command's usage.
func exactly(names ...string) cobra.PositionalArgs {
	return between(len(names), names...)
}

// none is exactly for a command that takes no arguments but is often given a name. The hint says
// where the name belongs.
func none(instead string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(c, "there is an argument too many: %q; %s", args[0], instead)
		}
		return nil
	}
}

// between is exactly, with the arguments after the first few optional.
func between(required int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < required:
			return usage(c, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return usage(c, "there is an argument too many: %q", args[len(names)])
		}
		return nil
	}
}
