package main

import (
	"context"
	"fmt"
	"io"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/demo"
	"github.com/roombus/roombus/room"
)

func newDemo() *cobra.Command {
	var out output
	var keep bool
	var listen string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch apps veto, extend, modify, react and go away, in one process",
		Long: `demo runs a NATS server, a room service and three apps in this process, and shows a short story with
real commands. Then it ends and removes its files. With --keep it serves until Ctrl-C, so that you
can try the nats CLI on it.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("listen") && !keep {
				return usage(c, "--listen goes with --keep")
			}
			w := c.OutOrStdout()
			cfg := demo.Config{Tell: timeline(w, out.json)}
			if keep {
				cfg.Listen = listen
				cfg.Keep = func(ctx context.Context, url string) {
					fmt.Fprint(c.ErrOrStderr(), tryThese(url))
					<-ctx.Done()
				}
			}
			return demo.Run(c.Context(), cfg)
		},
	}
	out.addFlags(c)
	c.Flags().BoolVar(&keep, "keep", false, "keep serving after the story, until Ctrl-C")
	c.Flags().StringVar(&listen, "listen", defaultListen, "with --keep: address for the nats CLI; port 0 takes a free one")
	return c
}

// timeline writes entries as they arrive, as text or as JSON.
func timeline(w io.Writer, json bool) func(demo.Entry) {
	if json {
		return func(e demo.Entry) { _ = writeJSON(w, e) } // a failed write ends the command in Run
	}
	p := paintFor(w)
	return func(e demo.Entry) {
		switch e.Kind {
		case demo.KindCommand:
			fmt.Fprintf(w, "\n%s  %s\n", p.as("▸ "+e.Text, color.Bold), p.as(fmt.Sprintf("%.1f ms", e.Ms), color.Faint))
		case demo.KindScene:
			fmt.Fprintf(w, "\n%s\n", p.as("— "+e.Text, color.Faint))
		case demo.KindExplain:
			fmt.Fprintf(w, "\n%s\n", p.as("$ "+e.Text, color.Bold))
			_ = (&reading{out: &output{}}).tell(w, e.Found) // writing text returns no error
		case demo.KindVerdict:
			p.verdict(w, room.AppOutcome{App: e.App, Interface: e.Interface, Outcome: e.Outcome, Reason: e.Text, Changed: e.Fields, Ms: e.Ms})
		case demo.KindWarning:
			p.warning(w, e.Text)
		case demo.KindResult:
			text := e.Text
			if e.Code != "" {
				text = p.as(string(e.Code), color.FgRed) + ": " + e.Text
			}
			fmt.Fprintf(w, "  = %s\n", text)
		case demo.KindEvent:
			fmt.Fprintf(w, "  » %-10s %-24s seq %d: %s\n", e.App, e.Interface, e.Event.Seq, e.Text)
		}
	}
}

// tryThese returns the commands to try while the demo runs.
func tryThese(url string) string {
	return fmt.Sprintf(`
The demo goes on. In another terminal, with the nats CLI:

  export NATS_URL=%s
  nats micro ls                                  # the room service and the apps
  nats sub 'room.>'                              # watch everything that goes over the bus
  nats req room.svc.list ''
  nats req room.svc.join '{"roomId":"lobby","user":{"id":"you"}}'
  nats req room.svc.join '{"roomId":"lobby","user":{"id":"mallory"}}'
  nats stream info ROOM_EVENTS

or with this program: roombus room members lobby; roombus app ls; roombus rejections;
roombus explain dora-joins; roombus app shadow guard on; roombus events --follow

Ctrl-C ends it.
`, url)
}
