package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/auth"
)

// init makes the folder.
func (a *authCommand) init() *cobra.Command {
	var context string
	c := &cobra.Command{
		Use: "init", Short: "Make the folder: operator, accounts, credentials, and resolver.conf for nats-server",
		Long: `init makes an operator with a signing key, the accounts SYS, ROOMS, OPERATORS and CLIENTS, a file of
credentials for each, and resolver.conf for nats-server. What exists stays as it is. After an upgrade of
roombus it gives the existing accounts the rights that the new version needs.

  creds/sys.creds        pushes accounts to servers, and monitors them
  creds/rooms.creds      roombus serve, backup and restore
  creds/operators.creds  the other commands of roombus, and nats
  creds/clients.creds    programs that use rooms, until each has its own (roombus auth client)`,
		Args: none("give the folder with --dir"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, changed, err := auth.Init(a.folder())
			if err != nil {
				return err
			}
			r := &authResult{Changed: changed, Next: []string{
				"roombus serve --auth " + f.Dir,
				"roombus auth app APP --dir " + f.Dir,
				fmt.Sprintf("NATS_CREDS=%s NATS_JS_DOMAIN=%s roombus health", f.Creds(auth.Operators), auth.Domain),
				"move the operator's own key, which no command needs, to a safe place: " + f.OperatorKeyFile(),
			}}
			entries, err := f.Entries()
			if err != nil {
				return err
			}
			operators, err := f.Entry(auth.Operators)
			if err != nil {
				return err
			}
			if err := a.saveContext(f, r, context, operators); err != nil {
				return err
			}
			return a.finish(c, f, r, false, entries...)
		},
	}
	addSaveContext(c, &context)
	return c
}

func addSaveContext(c *cobra.Command, name *string) {
	c.Flags().Var((*filled)(name), "save-context", "also write a context of the nats CLI with this name, for the server of --nats")
}

func (a *authCommand) saveContext(f *auth.Folder, r *authResult, name string, e auth.Entry) error {
	if name == "" {
		return nil
	}
	file, err := f.SaveContext(name, e, a.url(), a.conn.settings().TLSCA)
	if err != nil {
		return err
	}
	r.Changed = append(r.Changed, fmt.Sprintf("context %s of the nats CLI in %s", name, file))
	return nil
}
