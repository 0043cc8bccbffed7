package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// app is what can be asked about apps.
type app struct {
	conn connection
	out  output
}

func newApp() *cobra.Command {
	a := &app{}
	c := &cobra.Command{Use: "app", Short: "Look at the registered apps"}
	a.conn.addFlags(c)
	a.conn.addTimeout(c, 5*time.Second)
	a.out.addFlags(c)
	return group(c,
		&cobra.Command{
			Use:   "ls",
			Short: "List the apps in the order in which they are asked",
			Args:  exactly(),
			RunE:  a.conn.calling(a.list),
		},
		&cobra.Command{
			Use:   "info APP",
			Short: "Show an app's manifest",
			Args:  exactly("APP"),
			RunE:  a.conn.calling(a.info),
		})
}

func (a *app) list(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
	apps, err := client.Apps(ctx)
	if err != nil {
		return err
	}
	if a.out.json {
		for _, m := range apps {
			if err := writeJSON(w, m); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(w, "APP\tVERSION\tORDER\tTIMEOUT\tSTATE\tINTERFACES")
	for _, m := range apps {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", m.ID, m.Version, *m.Order, m.Timeout(), state(m), interfaces(m))
	}
	return t.Flush()
}

func (a *app) info(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
	m, err := client.App(ctx, args[0])
	if err != nil {
		return err
	}
	return a.out.object(w, m, func(w io.Writer) {
		t := newTable(w, "app\t"+m.ID)
		fmt.Fprintf(t, "version\t%s\n", m.Version)
		if m.Description != "" {
			fmt.Fprintf(t, "description\t%s\n", plain(m.Description))
		}
		fmt.Fprintf(t, "state\t%s\norder\t%d\ntimeout\t%s\n", state(m), *m.Order, m.Timeout())
		for n, i := range m.Implements {
			label := ""
			if n == 0 {
				label = "implements"
			}
			fmt.Fprintf(t, "%s\t%s\n", label, marked(m, i))
		}
		_ = t.Flush()
	})
}

func state(m room.Manifest) string {
	s := "enabled"
	if !m.IsEnabled() {
		s = "disabled"
	}
	if m.Shadow {
		s += ", shadow"
	}
	return s
}

// interfaces lists what the app implements, essential ones marked with a star.
func interfaces(m room.Manifest) string {
	names := make([]string, 0, len(m.Implements))
	for _, i := range slices.Sorted(slices.Values(m.Implements)) {
		name := string(i)
		if m.Essential(i) {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func marked(m room.Manifest, i room.Interface) string {
	if m.Essential(i) {
		return string(i) + " (essential)"
	}
	return string(i)
}
