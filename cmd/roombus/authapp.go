package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/auth"
)

const (
	mayAll  = "all"
	mayNone = "none"
)

// granting holds the flags of the commands that make an account.
type granting struct {
	may     []string
	limits  auth.Limits
	context string
}

func (a *authCommand) app() *cobra.Command {
	return a.granted(auth.KindApp, "app APP", "Make the account and the credentials of an app, or change its rights",
		`app makes the account of an app, whose id it has as its name, and credentials for its workers. Then the
workers can register the app, answer its pre-events, and process its post-events; they cannot do
anything for another app. They may send no requests about rooms, unless --may lists them: most apps
need none, and an app that joins users to rooms acts past its own checks.`, auth.AppLimits(), mayNone)
}

func (a *authCommand) client() *cobra.Command {
	return a.granted(auth.KindClient, "client NAME", "Make the account and the credentials of a program that uses rooms, or change its rights",
		`client makes an account for a program that uses rooms, and its credentials. It may send every request
about rooms, or those that --may lists. It sees no apps, no streams and no other clients.`, auth.ClientLimits(), mayAll)
}

func (a *authCommand) granted(kind auth.Kind, use, short, long string, limits auth.Limits, may string) *cobra.Command {
	g := &granting{}
	c := &cobra.Command{
		Use: use, Short: short,
		Long: long + `

If it exists, the flags that are given change it, and its credentials stay. If it is revoked, it gets new
credentials.`,
		Args: exactly(strings.Fields(use)[1]),
		RunE: func(c *cobra.Command, args []string) error {
			return a.grant(c, g, auth.Entry{Name: args[0], Kind: kind, May: named(may), Limits: limits})
		},
	}
	f := c.Flags()
	f.StringSliceVar(&g.may, "may", nil, fmt.Sprintf("requests about rooms that it may send: %s, %s, %s (default %s)",
		strings.Join(auth.Requests(), ", "), mayAll, mayNone, may))
	f.Int64Var(&g.limits.Connections, "connections", limits.Connections, "connections at a time, at most")
	f.Int64Var(&g.limits.Subscriptions, "subscriptions", limits.Subscriptions, "subscriptions of one connection, at most")
	f.Int64Var(&g.limits.Payload, "payload", limits.Payload, "bytes of one message, at most")
	addSaveContext(c, &g.context)
	return c
}

func named(may string) []string {
	if may == mayAll {
		return auth.Requests()
	}
	return nil
}

func (a *authCommand) grant(c *cobra.Command, g *granting, e auth.Entry) error {
	if err := auth.CheckName(e.Name); err != nil {
		return err
	}
	f, err := auth.Open(a.folder())
	if err != nil {
		return err
	}
	existing, err := f.Entry(e.Name)
	switch {
	case errors.Is(err, auth.ErrUnknownName):
	case err != nil:
		return err
	case existing.Kind == e.Kind && !existing.Revoked:
		e.May, e.Limits = existing.May, existing.Limits
	}
	if err := g.apply(c, &e); err != nil {
		return err
	}
	r := &authResult{Account: e.AccountName(), Creds: f.Creds(e.Name)}
	if r.Changed, err = f.Set(e); err != nil {
		return err
	}
	if e, err = f.Entry(e.Name); err != nil {
		return err
	}
	if err := a.saveContext(f, r, g.context, e); err != nil {
		return err
	}
	env := fmt.Sprintf("NATS_URL=%s NATS_CREDS=%s", a.url(), r.Creds)
	run := "start the program"
	if e.Kind == auth.KindApp {
		run = "start the workers"
		env += " NATS_JS_DOMAIN=" + auth.Domain
	}
	if g.context != "" {
		env = "NATS_CONTEXT=" + g.context
	}
	r.Next = []string{fmt.Sprintf("%s of %s with %s", run, e.Name, env)}
	return a.finish(c, f, r, false, e)
}

// apply changes the entry as the flags say.
func (g *granting) apply(c *cobra.Command, e *auth.Entry) error {
	changed := c.Flags().Changed
	if changed("may") {
		e.May = nil
		for _, request := range g.may {
			switch {
			case request == mayAll && len(g.may) == 1:
				e.May = auth.Requests()
			case request == mayNone && len(g.may) == 1:
			case slices.Contains(auth.Requests(), request):
				e.May = append(e.May, request)
			default:
				return usage(c, "--may must list requests: %s; or be %s or %s alone; not %q", strings.Join(auth.Requests(), ", "), mayAll, mayNone, request)
			}
		}
	}
	for _, limit := range []struct {
		flag     string
		from, to *int64
	}{
		{"connections", &g.limits.Connections, &e.Limits.Connections},
		{"subscriptions", &g.limits.Subscriptions, &e.Limits.Subscriptions},
		{"payload", &g.limits.Payload, &e.Limits.Payload},
	} {
		if !changed(limit.flag) {
			continue
		}
		if *limit.from <= 0 {
			return usage(c, "--%s must be more than 0, not %d; to shut it out: roombus auth revoke %s", limit.flag, *limit.from, e.Name)
		}
		*limit.to = *limit.from
	}
	return nil
}
