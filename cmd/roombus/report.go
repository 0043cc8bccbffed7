package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/backup"
	"github.com/roombus/roombus/room"
)

// report writes why a command line failed. As text it is one line, then the verdicts of the apps,
// then the command to have the failure explained. With --json it is one object: the error of the
// room service, or an object with only a message.
func report(w io.Writer, err error, c *cobra.Command) {
	var e *room.Error
	isCoded := errors.As(err, &e)
	says := inOneLine(err)
	var incomplete *backup.IncompleteError
	if errors.Is(err, context.Canceled) && !errors.As(err, &incomplete) {
		says, isCoded = "interrupted", false // the operation that was interrupted does not matter
	}
	if f := c.Flag("json"); f != nil && f.Value.String() == "true" {
		var object any = e
		if !isCoded {
			object = map[string]string{"message": says}
		}
		_ = writeJSON(w, object) // a failed write to stderr cannot be reported
		return
	}
	fmt.Fprintf(w, "roombus: %s\n", says)
	if !isCoded {
		return
	}
	p := paintFor(w)
	for _, a := range e.Apps {
		p.verdict(w, a)
	}
	p.cut(w, e.Cut)
	if e.CommandID != "" && e.Rejection() != "" {
		fmt.Fprintf(w, "    command %s; for its whole story: roombus explain %[1]s\n", plain(e.CommandID))
	}
}
