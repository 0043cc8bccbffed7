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

// failure is an error that is not the room service's, as --json shows it.
type failure struct {
	Message   string `json:"message"`
	CommandID string `json:"commandId,omitempty"` // of an interrupted command
}

// report writes why a command line failed. As text it is one line, then the verdicts of the apps,
// then the command to have the failure explained. With --json it is one object: the error of the
// room service, or a failure. A command that logs as JSON logs it.
func report(w io.Writer, err error, c *cobra.Command) {
	var e *room.Error
	isCoded := errors.As(err, &e)
	says := inOneLine(err)
	var incomplete *backup.IncompleteError
	if errors.Is(err, context.Canceled) && !errors.As(err, &incomplete) {
		says, isCoded = "interrupted", false // the operation that was interrupted does not matter
	}
	var commandID string
	if sent := (*interruptedError)(nil); errors.As(err, &sent) {
		says, commandID = plain(sent.Error()), sent.commandID
	}
	if logFailure(w, c, err, says) {
		return
	}
	if f := c.Flag("json"); f != nil && f.Value.String() == "true" {
		var object any = e
		if !isCoded {
			object = failure{says, commandID}
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
