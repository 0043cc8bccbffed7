package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// disable refuses to block commands unless it is told to.
func (a *app) disable() *cobra.Command {
	var force bool
	c := a.decision("disable APP", "Keep an app from being asked",
		`disable keeps an app from being asked. What it is essential for is refused meanwhile, so that
an essential app is disabled with --force only. To let everything pass, have it asked all the same
with app shadow APP on, or remove it.`,
		func(ctx context.Context, client *roomclient.Client, args []string) (room.Manifest, error) {
			if force {
				return client.DisableApp(ctx, args[0])
			}
			m, err := client.App(ctx, args[0])
			if err != nil {
				return room.Manifest{}, err
			}
			if blocked := blockedWithout(m.Manifest); len(blocked) > 0 {
				return room.Manifest{}, &usageError{fmt.Sprintf(
					"app %s is essential: while it is disabled, every %s that it is to be asked about is refused; "+
						"to let them pass: roombus app shadow %[1]s on; to refuse them: --force", m.ID, strings.Join(blocked, ", "))}
			}
			return client.DisableApp(ctx, args[0])
		}, "APP")
	c.Flags().BoolVar(&force, "force", false, "also if commands are refused from then on")
	return c
}

// blockedWithout lists the commands that are refused once the app is disabled and are not already.
func blockedWithout(m room.Manifest) []string {
	if m.Shadow || !m.IsEnabled() {
		return nil
	}
	var commands []string
	for _, i := range m.Essentials {
		if command := i.Event().Command(); i.Pre() && !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	return commands
}

// removed is an app that has been removed, as --json shows it.
type removed struct {
	room.Manifest
	Dropped uint64 `json:"dropped"` // post-events that waited for it
}

// remove refuses to drop events unless it is told to.
func (a *app) remove() *cobra.Command {
	var force bool
	const use = "remove APP"
	c := &cobra.Command{
		Use: use, Aliases: aliases(use), Short: "Forget an app",
		Long: `remove forgets an app, what has been decided about it, and the events that wait for it: if there
are any, with --force only. Its dead letters stay. Workers that still run are not asked any more; one
that starts, or that loses its connection and connects again, registers the app anew: stop them first.`,
		Args: exactly("APP"),
		RunE: a.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
			m, err := client.App(ctx, args[0])
			if err != nil {
				return err
			}
			n := undelivered(stateOf(m))
			if n > 0 && !force {
				return &usageError{fmt.Sprintf("post-events that wait for app %s and would be dropped: %d; to drop them: --force", m.ID, n)}
			}
			gone, err := client.RemoveApp(ctx, args[0])
			if err != nil {
				return err
			}
			return a.out.object(w, removed{gone, n}, func(w io.Writer) {
				fmt.Fprintf(w, "app %s is removed", gone.ID)
				if n > 0 {
					fmt.Fprintf(w, "; post-events that waited for it and are dropped: %d", n)
				}
				fmt.Fprintln(w)
			})
		}),
	}
	c.Flags().BoolVar(&force, "force", false, "also if post-events wait for the app")
	return c
}

// undelivered is how many events are dropped with the app.
func undelivered(s room.AppState) uint64 {
	n := s.Replays + s.Parked
	if s.Backlog != nil {
		n += *s.Backlog
	}
	return n
}
