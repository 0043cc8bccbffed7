package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/policyfile"
)

// init writes a file with examples.
func (p *policies) init() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "init [FILE]", Short: "Write a file with examples of policies",
		Long: `init writes a file with policies and their tests, to start from: a ban list, a capacity, invitations,
quiet hours, names, and default members. The default name is policy.yaml; - is standard output.`,
		Args: between(0, "FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			file := "policy.yaml"
			if len(args) > 0 {
				file = args[0]
			}
			if file == "-" {
				_, err := io.WriteString(c.OutOrStdout(), policyfile.Example)
				return err
			}
			how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
			if force {
				how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
			}
			if err := writeExample(file, how); err != nil {
				if errors.Is(err, fs.ErrExist) {
					return usage(c, "there is a file %s already; to replace it: --force", file)
				}
				return fmt.Errorf("writing the examples: %w", err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is written; next: roombus policy test %[1]s\n", file)
			return nil
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace the file if there is one")
	return c
}

func writeExample(file string, how int) error {
	f, err := os.OpenFile(file, how, 0o644) //nolint:gosec // it is no secret, and teams share it
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, policyfile.Example)
	return errors.Join(err, f.Close())
}
