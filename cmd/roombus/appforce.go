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

// disable refuses to disable an essential app unless --force is given.
func (a *app) disable() *cobra.Command {
	var force bool
	c := a.decision("disable APP", "Stop asking an app",
		`disable makes the service stop asking an app. While an essential app is disabled, the service
refuses the commands that the app is essential for, so this needs --force. To let the commands pass
instead, use app shadow APP on, or remove the app.`,
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
					"app %s is essential: while it is disabled, the service refuses %s; "+
						"to let them pass: roombus app shadow %[1]s on; to refuse them: --force", m.ID, strings.Join(blocked, ", "))}
			}
			return client.DisableApp(ctx, args[0])
		}, "APP")
	c.Flags().BoolVar(&force, "force", false, "disable the app even if commands are then refused")
	return c
}

// blockedWithout lists the commands that the service starts to refuse once the app is disabled.
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

// removed is a removed app, as --json shows it.
type removed struct {
	room.Manifest
	Dropped uint64 `json:"dropped"` // post-events that were waiting for the app
}

// remove refuses to drop waiting events unless --force is given.
func (a *app) remove() *cobra.Command {
	var force bool
	const use = "remove APP"
	c := &cobra.Command{
		Use: use, Aliases: aliases(use), Short: "Remove an app",
		Long: `remove removes an app, its settings, and the events that wait for it. If events wait, it needs
--force. The dead letters of the app stay.

Stop the workers first. The service no longer asks workers that still run, but a worker that starts
or reconnects registers the app again.`,
		Args: exactly("APP"),
		RunE: a.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
			m, err := client.App(ctx, args[0])
			if err != nil {
				return err
			}
			n, err := droppedWith(m, force)
			if err != nil {
				return err
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
	c.Flags().BoolVar(&force, "force", false, "remove the app even if post-events wait for it")
	return c
}

// droppedWith counts the post-events that are dropped with the app. If there are any, it needs force.
func droppedWith(m room.App, force bool) (uint64, error) {
	n := undelivered(stateOf(m))
	if n > 0 && !force {
		return n, &usageError{fmt.Sprintf("post-events that wait for app %s and would be dropped: %d; to drop them: --force", m.ID, n)}
	}
	return n, nil
}

// undelivered counts the events that are dropped with the app.
func undelivered(s room.AppState) uint64 {
	n := s.Replays + s.Parked
	if s.Backlog != nil {
		n += *s.Backlog
	}
	return n
}
