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

// register registers an app that has no worker yet.
func (a *app) register() *cobra.Command {
	var deliver, since string
	var m room.Manifest
	c := &cobra.Command{
		Use:   "register [MANIFEST]",
		Short: "Register an app before it has workers",
		Long: `register registers an app by its manifest, a JSON file or standard input. Workers made with the Go
SDK register their app themselves. Register it before they start if its post-events are not to
begin with the events after the registration. The starting point takes effect only when an app is
registered for the first time: to change it, remove the app first.`,
		Example: `  roombus app register guard.json
  echo '{"id":"ledger","version":"1.0.0","implements":["PostRoomUserJoined"]}' | roombus app register --deliver all`,
		Args: between(0, "MANIFEST"),
	}
	c.Flags().StringVar(&deliver, "deliver", "", "where its post-events begin: new, all or since (default: from the manifest, or new)")
	c.Flags().StringVar(&since, "since", "", "with --deliver since: "+sinceForms)
	c.PreRunE = func(c *cobra.Command, args []string) error {
		known := []room.Deliver{"", room.DeliverNew, room.DeliverAll, room.DeliverSince}
		if !slices.Contains(known, room.Deliver(deliver)) {
			return usage(c, "--deliver must be new, all or since, not %q", deliver)
		}
		if (deliver == string(room.DeliverSince)) != (since != "") {
			return usage(c, "--deliver since and --since go together")
		}
		var err error
		if m, err = readManifest(c, args); err != nil || deliver == "" {
			return err
		}
		m.Deliver, m.DeliverSince = room.Deliver(deliver), nil
		if since != "" {
			at, err := parseTime(since)
			if err != nil {
				return usage(c, "--since %v", err)
			}
			m.DeliverSince = &at
		}
		return nil
	}
	c.RunE = a.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
		stored, err := client.RegisterApp(ctx, m)
		if err != nil {
			return err
		}
		return a.out.object(w, stored, func(w io.Writer) {
			fmt.Fprintf(w, "app %s %s is registered, %s\n", stored.ID, stored.Version, state(stored))
		})
	})
	return c
}

// readManifest reads the named file, or standard input.
func readManifest(c *cobra.Command, args []string) (m room.Manifest, err error) {
	data, from, err := readInput(c, strings.Join(args, ""), "the manifest")
	if err != nil {
		return m, err
	}
	if err := room.Decode(data, &m); err != nil {
		return m, fmt.Errorf("%s is not a manifest: %w", from, err)
	}
	return m, nil
}
