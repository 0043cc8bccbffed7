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

// report writes why a command line failed: one line, and below it what the apps said and how to
// have the command explained. With --json it is one object: that of the room service's error, or one
// with a message only.
func report(w io.Writer, err error, c *cobra.Command) {
	var e *room.Error
	isCoded := errors.As(err, &e)
	says := inOneLine(err)
	var incomplete *backup.IncompleteError
	if errors.Is(err, context.Canceled) && !errors.As(err, &incomplete) {
		says = "interrupted" // what was going on is of no interest
	}
	if f := c.Flag("json"); f != nil && f.Value.String() == "true" {
		var object any = e
		if !isCoded {
			object = map[string]string{"message": says}
		}
		_ = writeJSON(w, object) // there is nowhere else to say that it failed
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
