package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"github.com/roombus/roombus/room"
)

// verdict writes the verdict of an app as a line of a timeline.
func (p paint) verdict(w io.Writer, a room.AppOutcome) {
	padding := strings.Repeat(" ", max(0, len(room.Unavailable)-len(a.Outcome)))
	fmt.Fprintf(w, "    %-10s %-24s %s%s %s", plain(a.App), plain(string(a.Interface)), p.outcome(a.Outcome), padding,
		p.as(fmt.Sprintf("%.1f ms", a.Ms), color.Faint))
	if a.Rule > 0 && a.Outcome == room.Denied { // a failure names the rule in its reason
		fmt.Fprintf(w, " %s", ofRule(a.Rule))
	}
	if a.Reason != "" {
		fmt.Fprintf(w, "  %q", plain(a.Reason))
	}
	if len(a.Changed) > 0 {
		fmt.Fprintf(w, "  changed %s", plain(strings.Join(a.Changed, ", ")))
	}
	if a.Reinvoked {
		fmt.Fprintf(w, "  %s", p.as("(asked again about the final draft)", color.Faint))
	}
	if a.Shadow {
		fmt.Fprintf(w, "  %s", p.as("(shadow: not enforced)", color.Faint))
	}
	fmt.Fprintln(w)
}

// warning writes the warning of an app that allowed the command as a line of a timeline.
func (p paint) warning(w io.Writer, says string) {
	fmt.Fprintf(w, "    %s %s\n", p.as("warning:", color.FgYellow), plain(says))
}

// cut says, as a line of a timeline, what was left out because the message had no room for it.
func (p paint) cut(w io.Writer, c room.Cut) {
	var counts []string
	for _, k := range []struct {
		n    int
		what string
	}{{c.Outcomes, "outcomes"}, {c.Reasons, "reasons"}, {c.Changed, "lists of changes"}, {c.Warnings, "warnings"}} {
		if k.n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", k.n, k.what))
		}
	}
	if len(counts) > 0 {
		fmt.Fprintf(w, "    %s\n", p.as(strings.Join(counts, ", ")+" were cut: the message had no room for them", color.Faint))
	}
}
