package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/interrupt"
)

// readInput reads the named file, or standard input if the name is empty or "-". what names the
// content, and from the source, in messages.
func readInput(c *cobra.Command, name, what string) (data []byte, from string, err error) {
	if name != "" && name != "-" {
		if data, err = os.ReadFile(name); err != nil {
			return nil, name, fmt.Errorf("reading %s: %w", what, err)
		}
		return data, name, nil
	}
	if isTerminal(c.InOrStdin()) {
		fmt.Fprintf(c.ErrOrStderr(), "reading %s from standard input: Ctrl-D ends it\n", what)
	}
	const standardInput = "standard input"
	if data, err = io.ReadAll(interrupt.Reader(c.Context(), c.InOrStdin())); err != nil {
		return nil, standardInput, fmt.Errorf("reading %s: %w", what, err)
	}
	return data, standardInput, nil
}
