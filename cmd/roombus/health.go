package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/micro"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

const (
	healthTimeout = 2 * time.Second
	// healthStall is how long health waits for another service after each answer.
	healthStall = 300 * time.Millisecond
)

// health asks the room services whether they are ready.
type health struct {
	conn  connection
	out   output
	host  string
	local bool
}

// serviceHealth is a room service, as --json shows it.
type serviceHealth struct {
	Host     string `json:"host"`
	PID      int    `json:"pid"`
	Version  string `json:"version"`
	Revision string `json:"revision"`
	ID       string `json:"id"`
	Rooms    int    `json:"rooms"`
	roomsvc.Readiness
}

// errNotReady is returned when the room services cannot be asked, when none of them answers, or when
// too few of them are ready.
var errNotReady = errors.New("not ready")

func newHealth() *cobra.Command {
	h := &health{}
	c := &cobra.Command{
		Use:   "health",
		Short: "Show which room services run, and whether they are ready",
		Long: `health asks every room service whether it can commit. It exits with status 0 if at least one
is ready, otherwise with status 5. With --host or --local it exits with status 0 if there are
services on that host and all of them are ready.

It ends 300 ms after the last answer. A service that cannot reach NATS does not answer.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return h.run(c) },
	}
	h.conn.addFlags(c)
	h.conn.addTimeout(c, healthTimeout)
	h.out.addFlags(c)
	c.Flags().Var((*filled)(&h.host), "host", "only services on this host")
	c.Flags().BoolVar(&h.local, "local", false, "only services on the host that this command runs on")
	return c
}

func (h *health) run(c *cobra.Command) error {
	if h.conn.timeout <= 0 {
		return usage(c, "--timeout must be more than 0, not %s", h.conn.timeout)
	}
	if h.local && h.host != "" {
		return usage(c, "--local stands for --host with this host: give one of them")
	}
	if h.local {
		var err error
		if h.host, err = os.Hostname(); err != nil {
			return fmt.Errorf("finding the name of this host: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(c.Context(), h.conn.timeout)
	defer cancel()
	nc, err := h.conn.connect(ctx)
	if err != nil {
		return unanswered(err)
	}
	defer nc.Close()
	stats, err := bus.StatsWithin(ctx, nc, subjects.Service, healthStall)
	if err != nil {
		return denied(nc, unanswered(err))
	}
	services := healthOf(stats, h.host)
	if len(services) == 0 && h.host != "" { // services on other hosts may have answered faster
		if stats, err = bus.StatsWithin(ctx, nc, subjects.Service, h.conn.timeout); err != nil {
			return denied(nc, unanswered(err))
		}
		services = healthOf(stats, h.host)
	}
	if err := h.show(c.OutOrStdout(), services); err != nil {
		return err
	}
	return denied(nc, ready(services, h.host))
}

// unanswered turns an error of asking the services into errNotReady. Settings are not answers: an error
// about them remains as it is.
func unanswered(err error) error {
	var wrong *bus.SettingsError
	if errors.As(err, &wrong) {
		return err
	}
	return fmt.Errorf("%w: %w", errNotReady, err)
}

// healthOf returns the health of the services, only those on the host unless host is empty.
func healthOf(stats []micro.Stats, host string) []serviceHealth {
	var all []serviceHealth
	for _, s := range stats {
		if host != "" && s.Metadata["host"] != host {
			continue
		}
		is := serviceHealth{Host: s.Metadata["host"], Version: s.Version, Revision: s.Metadata["revision"], ID: s.ID}
		is.PID, _ = strconv.Atoi(s.Metadata["pid"]) // 0 if the service does not report it
		is.NotReady = "it does not say"
		if len(s.Endpoints) > 0 { // every endpoint repeats the data of the whole service
			var data roomsvc.EndpointData
			if json.Unmarshal(s.Endpoints[0].Data, &data) == nil {
				is.Rooms = data.Rooms
				if data.Ready || data.NotReady != "" {
					is.Readiness = data.Readiness
				}
			}
		}
		all = append(all, is)
	}
	slices.SortFunc(all, func(a, b serviceHealth) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// ready returns errNotReady unless one of the services is ready. With a host, all of them must be.
func ready(services []serviceHealth, host string) error {
	count := 0
	for _, s := range services {
		if s.Ready {
			count++
		}
	}
	on := ""
	if host != "" {
		on = " on host " + host
	}
	switch {
	case len(services) == 0:
		return fmt.Errorf("%w: no room service%s answers; start one with roombus serve, or give its NATS server with --nats", errNotReady, on)
	case count == 0, host != "" && count < len(services):
		return fmt.Errorf("%w: %d of %d room services%s", errNotReady, len(services)-count, len(services), on)
	}
	return nil
}

func (h *health) show(w io.Writer, services []serviceHealth) error {
	if h.out.json {
		for _, s := range services {
			if err := writeJSON(w, s); err != nil {
				return err
			}
		}
		return nil
	}
	if len(services) == 0 {
		return nil
	}
	t := newTable(w, "HOST\tPID\tVERSION\tREVISION\tID\tROOMS\tSTATE")
	for _, s := range services {
		state := "ready"
		if !s.Ready {
			state = "not ready: " + s.NotReady
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%d\t%s\n", plain(cmp.Or(s.Host, "-")), s.PID, plain(s.Version),
			plain(cmp.Or(s.Revision, "-")), plain(s.ID), s.Rooms, plain(state))
	}
	return t.Flush()
}
