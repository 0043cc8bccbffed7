package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/adrg/xdg"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/auth"
)

// pushTimeout bounds the connection to the server that takes claims.
const pushTimeout = 5 * time.Second

// authCommand holds the flags that the auth commands share.
type authCommand struct {
	conn    connection
	out     output
	dir     string
	offline bool
}

func newAuth() *cobra.Command {
	a := &authCommand{conn: connection{timeout: pushTimeout}}
	c := &cobra.Command{
		Use:   "auth",
		Short: "Secure a deployment: an account for each app, with its credentials",
		Long: `auth keeps the keys, accounts and credentials of a secured deployment in a folder:

  roombus auth init                         once
  roombus serve --auth DIR                  or nats-server with DIR/resolver.conf
  roombus auth app guard --may join,get     for each app
  roombus auth client web                   for each program that uses rooms

Each app and client has its own NATS account, which has the subjects that contain the app's id, and no
others. A command changes the folder, and sends the change to the running server: that of --nats,
--context or the environment, else 127.0.0.1:4222. It uses sys.creds for that. With --offline it
changes only the folder; roombus auth push sends the changes later, and serve --auth reads the folder
when it starts. Every command can be repeated.

The folder has the layout of nsc. A server needs the folder without keys. Keep keys on the machine where
you run these commands.`,
	}
	f := c.PersistentFlags()
	f.Var((*filled)(&a.dir), "dir", "folder of the deployment (default "+defaultAuthDir()+")")
	f.BoolVar(&a.offline, "offline", false, "change only the folder, ask no server")
	for _, v := range []struct {
		field      *string
		name, help string
	}{
		{&a.conn.flags.URL, "nats", "servers to connect to, comma-separated (NATS_URL)"},
		{&a.conn.flags.Context, "context", "context of the nats CLI that names the servers (NATS_CONTEXT)"},
		{&a.conn.flags.TLSCert, "tlscert", "TLS certificate file (NATS_CERT)"},
		{&a.conn.flags.TLSKey, "tlskey", "TLS key file (NATS_KEY)"},
		{&a.conn.flags.TLSCA, "tlsca", "TLS certificate authority file (NATS_CA)"},
	} {
		f.Var((*filled)(v.field), v.name, v.help)
	}
	a.out.addFlags(c)
	return group(c, a.init(), a.app(), a.client(), a.ls(), a.rotate(), a.revoke(), a.push(), a.check(), a.migrate())
}

func defaultAuthDir() string { return filepath.Join(xdg.DataHome, "roombus", "auth") }

func (a *authCommand) folder() string { return cmp.Or(a.dir, defaultAuthDir()) }

// authResult is what a command did.
type authResult struct {
	Dir     string   `json:"dir"`
	Account string   `json:"account,omitempty"`
	Creds   string   `json:"creds,omitempty"`
	Changed []string `json:"changed"` // in the folder, and the context of the nats CLI
	Server  string   `json:"server,omitempty"`
	Pushed  []string `json:"pushed"` // to the server: the names
	Note    string   `json:"note,omitempty"`
	Next    []string `json:"next"` // commands
}

func (r *authResult) write(w io.Writer) {
	for _, what := range r.Changed {
		fmt.Fprintln(w, "done:", what)
	}
	if len(r.Changed) == 0 {
		fmt.Fprintln(w, "the folder is as wanted:", r.Dir)
	}
	switch {
	case len(r.Pushed) > 0:
		for _, name := range r.Pushed {
			fmt.Fprintf(w, "in force at %s: %s\n", r.Server, name)
		}
	case r.Server != "":
		fmt.Fprintln(w, "the server has it already:", r.Server)
	}
	if r.Note != "" {
		fmt.Fprintln(w, "note:", r.Note)
	}
	for _, command := range r.Next {
		fmt.Fprintln(w, "next:", command)
	}
}

// finish sends the entries to the server, unless --offline is given, and writes the result. If required is
// set, or if a server was named, it returns an error if the server does not take them.
func (a *authCommand) finish(c *cobra.Command, f *auth.Folder, r *authResult, required bool, entries ...auth.Entry) error {
	r.Dir = f.Dir
	if r.Changed == nil {
		r.Changed = []string{}
	}
	failed := a.send(c.Context(), f, r, entries)
	switch {
	case failed != nil && !required && !a.conn.elsewhere():
		r.Note, failed = fmt.Sprintf("no server has the change yet (%v)", failed), nil
	case failed != nil:
		r.Note = "no server has the change yet"
		failed = fmt.Errorf("the folder is changed, but not the server: %w", failed)
	case a.offline:
		r.Note = "a running server needs: roombus auth push"
	}
	if err := a.out.object(c.OutOrStdout(), r, r.write); err != nil {
		return err
	}
	return failed
}

func (a *authCommand) send(ctx context.Context, f *auth.Folder, r *authResult, entries []auth.Entry) error {
	r.Pushed = []string{}
	if a.offline {
		return nil
	}
	nc, err := a.system(ctx, f)
	if err != nil {
		return err
	}
	defer nc.Close()
	pushed, err := f.Push(ctx, nc, entries...)
	if err != nil {
		return err
	}
	r.Server, r.Pushed = nc.ConnectedUrlRedacted(), append(r.Pushed, pushed...)
	return nil
}

// system connects with the credentials of the system account.
func (a *authCommand) system(ctx context.Context, f *auth.Folder) (*nats.Conn, error) {
	settings := a.conn.settings()
	settings.User, settings.Password, settings.Token, settings.NKey = "", "", "", ""
	settings.Creds = f.Creds(auth.System)
	ctx, cancel := context.WithTimeout(ctx, a.conn.timeout)
	defer cancel()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // the command's own error says the same
	nc, err := settings.Connect(ctx, nats.Name("roombus auth"), quiet)
	if errors.Is(err, nats.ErrAuthorization) {
		return nil, fmt.Errorf("the server does not accept %s: is it a server of this folder? %w", settings.Creds, err)
	}
	return nc, err
}

// url is that of the server for contexts and hints.
func (a *authCommand) url() string { return cmp.Or(a.conn.settings().URL, nats.DefaultURL) }
