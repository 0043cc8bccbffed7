package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/auth"
)

func (a *authCommand) rotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate NAME", Short: "Make new credentials; the old ones stop",
		Long: `rotate replaces the credentials of an app, a client, or of sys, rooms, operators or clients. The old
ones are cut off as soon as the server has the change; a server that is not running has it when it
starts. Programs that read the file again when they reconnect, as roombus and its SDK do, go on by
themselves if they use the file in the folder.`,
		Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := auth.Open(a.folder())
			if err != nil {
				return err
			}
			if err := f.Rotate(args[0], time.Now()); err != nil {
				return err
			}
			e, err := f.Entry(args[0])
			if err != nil {
				return err
			}
			return a.finish(c, f, &authResult{
				Account: e.AccountName(), Creds: e.Creds, Changed: []string{"credentials " + e.Creds + "; the old ones are revoked"},
				Next: []string{"replace the copies of the old credentials by " + e.Creds},
			}, true, e)
		},
	}
}

func (a *authCommand) revoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "Cut off an app or a client at once",
		Long: `revoke takes all rights from the account of an app or a client, and revokes all its credentials. Its
connections are closed as soon as the server has the change. The registration of an app stays; an
essential app without workers blocks requests. To let it in again, use roombus auth app or client.`,
		Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := auth.Open(a.folder())
			if err != nil {
				return err
			}
			changed, err := f.Revoke(args[0], time.Now())
			if err != nil {
				return err
			}
			e, err := f.Entry(args[0])
			if err != nil {
				return err
			}
			r := &authResult{Account: e.AccountName(), Next: []string{"roombus auth " + string(e.Kind) + " " + e.Name + ", to let it in again"}}
			if changed {
				r.Changed = []string{"all credentials of account " + e.AccountName() + " are revoked"}
			}
			if e.Kind == auth.KindApp {
				r.Next = append(r.Next, "roombus app remove "+e.Name+", if it is gone for good")
			}
			return a.finish(c, f, r, true, e)
		},
	}
}

func (a *authCommand) push() *cobra.Command {
	return &cobra.Command{
		Use: "push", Short: "Send the accounts to the running server",
		Long: `push sends every account to the server that differs there, for example after changes with --offline or
with nsc.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if a.offline {
				return usage(c, "--offline does not go with push")
			}
			f, err := auth.Open(a.folder())
			if err != nil {
				return err
			}
			entries, err := f.Entries()
			if err != nil {
				return err
			}
			return a.finish(c, f, &authResult{Next: []string{"roombus auth check"}}, true, entries...)
		},
	}
}
