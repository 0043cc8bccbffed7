package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/auth"
)

func (a *authCommand) migrate() *cobra.Command {
	var storeDir string
	c := &cobra.Command{
		Use: "migrate", Short: "Give the streams of an existing store to the account of the room services",
		Long: `migrate makes the store of a serve without --auth usable with --auth. It renames the folder of the
streams, so nothing is copied, and all rooms, apps and dead letters are kept. Stop serve first; migrate
refuses while it runs. Then start it with --auth.`,
		Args: none("give the folder of the store with --store-dir"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := auth.Open(a.folder())
			if err != nil {
				return err
			}
			rooms, err := f.Entry(auth.Rooms)
			if err != nil {
				return err
			}
			store := cmp.Or(storeDir, defaultStoreDir())
			moved, err := embedded.MoveStreams(store, rooms.Key)
			if err != nil {
				return err
			}
			r := &authResult{
				Dir: f.Dir, Account: rooms.AccountName(), Changed: []string{}, Pushed: []string{},
				Next: []string{fmt.Sprintf("roombus serve --auth %s --store-dir %s", f.Dir, store)},
			}
			if moved > 0 {
				r.Changed = append(r.Changed, fmt.Sprintf("%d streams in %s belong to account %s", moved, store, rooms.AccountName()))
			} else {
				r.Note = "there are no streams to move in " + store
			}
			return a.out.object(c.OutOrStdout(), r, r.write)
		},
	}
	c.Flags().Var((*filled)(&storeDir), "store-dir", "folder of the embedded NATS server (default "+defaultStoreDir()+")")
	return c
}
