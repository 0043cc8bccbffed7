package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/auth"
)

// errAuthProblems is returned when auth check finds problems.
var errAuthProblems = errors.New("the deployment has problems")

func (a *authCommand) ls() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: aliases("ls"), Short: "List the accounts and their rights",
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := auth.Open(a.folder())
			if err != nil {
				return err
			}
			entries, err := f.Entries()
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			if a.out.json {
				for _, e := range entries {
					if err := writeJSON(w, e); err != nil {
						return err
					}
				}
				return nil
			}
			t := newTable(w, "NAME\tKIND\tACCOUNT\tMAY\tCREDENTIALS")
			for _, e := range entries {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", e.Name, e.Kind, e.AccountName(), cmp.Or(strings.Join(e.May, ","), "-"), credentials(e))
			}
			return t.Flush()
		},
	}
}

func credentials(e auth.Entry) string {
	switch {
	case e.Revoked:
		return "revoked"
	case !e.Expires.IsZero():
		return e.Creds + " until " + clock(e.Expires)
	}
	return cmp.Or(e.Creds, "-")
}

// authChecked is the result of auth check.
type authChecked struct {
	Dir      string   `json:"dir"`
	Server   string   `json:"server,omitempty"` // that was compared
	Problems []string `json:"problems"`
	Note     string   `json:"note,omitempty"`
}

func (a *authCommand) check() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Check the folder, and compare it with the running server",
		Long: `check looks for files that others can read, for credentials that are missing, revoked or about to
expire, and for accounts that the server has not, or not as they are in the folder. It exits with
status 1 if there is a problem.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := auth.Open(a.folder())
			if err != nil {
				return err
			}
			found, err := f.Check(time.Now())
			if err != nil {
				return err
			}
			r := &authChecked{Dir: f.Dir, Problems: append([]string{}, found...)}
			if err := a.compare(c, f, r); err != nil {
				return err
			}
			if err := a.out.object(c.OutOrStdout(), r, r.write); err != nil {
				return err
			}
			if len(r.Problems) > 0 {
				return fmt.Errorf("%s: %w", f.Dir, errAuthProblems)
			}
			return nil
		},
	}
}

// compare adds the differences between the folder and the server. It returns an error if a server was named
// and does not answer.
func (a *authCommand) compare(c *cobra.Command, f *auth.Folder, r *authChecked) error {
	if a.offline {
		return nil
	}
	nc, err := a.system(c.Context(), f)
	if err != nil && !a.conn.elsewhere() {
		r.Note = fmt.Sprintf("not compared with a server (%v)", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer nc.Close()
	entries, err := f.Entries()
	if err != nil {
		return err
	}
	differ, err := f.Compare(c.Context(), nc, entries...)
	if err != nil {
		return err
	}
	r.Server = nc.ConnectedUrlRedacted()
	for _, e := range differ {
		r.Problems = append(r.Problems, fmt.Sprintf("account %s is not on the server as it is in the folder: roombus auth push", e.AccountName()))
	}
	return nil
}

func (r *authChecked) write(w io.Writer) {
	for _, problem := range r.Problems {
		fmt.Fprintln(w, "problem:", problem)
	}
	if len(r.Problems) == 0 {
		fmt.Fprintln(w, "no problem in", r.Dir)
	}
	if r.Server != "" {
		fmt.Fprintln(w, "compared with", r.Server)
	}
	if r.Note != "" {
		fmt.Fprintln(w, "note:", r.Note)
	}
}
