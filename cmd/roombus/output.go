package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/roombus/roombus/room"
)

// output writes text for people, or with --json one object a line for scripts.
type output struct{ json bool }

func (o *output) addFlags(cmd *cobra.Command) {
	cmd.PersistentFlags().BoolVar(&o.json, "json", false, "one JSON object a line")
}

// object writes v as a line of JSON, or calls people to write text.
func (o *output) object(w io.Writer, v any, people func(io.Writer)) error {
	if !o.json {
		people(w)
		return nil
	}
	return writeJSON(w, v)
}

func writeJSON(w io.Writer, v any) error {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// newTable aligns the columns of tab-separated lines. The caller must flush it.
func newTable(w io.Writer, header string) *tabwriter.Writer {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, header)
	return t
}

// checked remembers the first write error, so that lost output makes the command fail.
type checked struct {
	w      io.Writer
	failed func()
	err    error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
		c.failed()
	}
	return n, err
}

// plain removes from text the characters that would move the cursor, change colours, reverse the
// writing direction or break a table.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) {
			return '·'
		}
		return c
	}, s)
}

// isTerminal reports whether an input or output is a terminal.
func isTerminal(end any) bool {
	if c, ok := end.(*checked); ok {
		end = c.w
	}
	f, ok := end.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// paint colours the text of a writer. It is off unless the writer is a terminal and NO_COLOR is not
// set.
type paint struct{ on bool }

func paintFor(w io.Writer) paint {
	return paint{on: isTerminal(w) && os.Getenv("NO_COLOR") == ""}
}

func (p paint) as(s string, attributes ...color.Attribute) string {
	if !p.on {
		return s
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(s)
}

// outcome colours an outcome by its severity.
func (p paint) outcome(o room.Outcome) string {
	switch o {
	case room.Allowed:
		return p.as(string(o), color.FgGreen)
	case room.Skipped:
		return p.as(string(o), color.Faint)
	case room.Denied:
		return p.as(string(o), color.FgRed, color.Bold)
	}
	return p.as(plain(string(o)), color.FgYellow)
}

// kind colours a kind of rejection like the verdict that caused it.
func (p paint) kind(k room.RejectionKind) string {
	if k == room.RejectionDenied {
		return p.as(string(k), color.FgRed, color.Bold)
	}
	return p.as(plain(string(k)), color.FgYellow)
}

// clock formats a time for people: local time, to the second.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
