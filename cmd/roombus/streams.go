package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/roomsvc/streams"
)

// streamsCommand shows the required configuration of the streams, and how the existing streams differ.
type streamsCommand struct {
	conn     connection
	out      output
	replicas int
	check    bool
	apply    bool
}

// errStreamsDiffer is returned when a stream that the service needs does not have the required
// configuration.
var errStreamsDiffer = errors.New("the streams are not as they must be")

func newStreams() *cobra.Command {
	s := &streamsCommand{}
	c := &cobra.Command{
		Use:   "streams [STREAM]",
		Short: "Show the required configuration of the streams, compare them with it, and repair them",
		Long: `streams writes the configuration of every stream that the room service needs, or of STREAM,
as one line of JSON each. A bucket is a stream too, named KV_ and the bucket's name. The
configuration has the format of nats stream add:

  roombus streams ROOM_EVENTS --stream-replicas 3 >events.json
  nats stream add --config events.json

With --check it compares the streams on NATS with the required configuration. It exits with status 1
if a stream that the service needs is missing, lost, in memory, without its copies, or configured
differently. With --apply it first creates missing streams and changes the settings that can be
changed. It never lowers the number of copies, and does not create a stream whose content is lost:
restore that stream. Without --stream-replicas, both use the number of copies that ROOM_EVENTS has.

roombus serve creates missing streams itself, unless it is started with --no-provision.`,
		Args: between(0, "STREAM"),
		RunE: s.run,
	}
	s.conn.addFlags(c)
	s.out.addFlags(c)
	f := c.Flags()
	f.IntVar(&s.replicas, streamReplicas, roomsvc.Defaults().Replicas, "copies of the streams, on a NATS cluster: 1, 3 or 5")
	f.BoolVar(&s.check, "check", false, "compare the streams on NATS with the required configuration")
	f.BoolVar(&s.apply, "apply", false, "create and change streams on NATS to match the required configuration")
	return c
}

func (s *streamsCommand) run(c *cobra.Command, args []string) error {
	if err := checkReplicas(s.replicas); err != nil {
		return usage(c, "%v", err)
	}
	if s.check || s.apply {
		if len(args) > 0 {
			return usage(c, "--check and --apply are about all streams")
		}
		return s.compare(c)
	}
	found := false
	for _, cfg := range streams.Configs(s.replicas) {
		if len(args) > 0 && cfg.Name != args[0] {
			continue
		}
		found = true
		if err := writeJSON(c.OutOrStdout(), cfg); err != nil {
			return err
		}
	}
	if !found {
		return usage(c, "the room service needs no stream %q", args[0])
	}
	return nil
}

// compare compares the streams on NATS with the required configuration. With --apply it first
// changes them.
func (s *streamsCommand) compare(c *cobra.Command) error {
	nc, err := s.conn.connect(c.Context())
	if err != nil {
		return err
	}
	defer nc.Close()
	copies := s.replicas
	if !c.Flags().Changed(streamReplicas) {
		copies = 0 // as the stream of events has
	}
	js, err := s.conn.settings().JetStream(nc)
	if err != nil {
		return err
	}
	there := streams.New(streams.Config{Conn: nc, JetStream: js, Snapshots: projection.NewSnapshots(js), Copies: copies})
	look := there.Compare
	if s.apply {
		look = there.Apply
	}
	all, err := look(c.Context())
	if err != nil {
		return err
	}
	if err := s.show(c.OutOrStdout(), all); err != nil {
		return err
	}
	for _, check := range all {
		if !check.OK() {
			return errStreamsDiffer
		}
	}
	return nil
}

func (s *streamsCommand) show(w io.Writer, all []streams.Comparison) error {
	if s.out.json {
		for _, check := range all {
			if err := writeJSON(w, check); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(w, "STREAM\tCOPIES\tSTATE")
	for _, check := range all {
		fmt.Fprintf(t, "%s\t%d\t%s\n", check.Stream, check.Copies, plain(stateOfStream(check)))
	}
	return t.Flush()
}

// storageRemedy is the remedy for a stream in memory.
const storageRemedy = "its storage cannot be changed: stop the services, back it up, remove it, and restore it with file storage"

func stateOfStream(c streams.Comparison) string {
	var parts []string
	add := func(holds bool, part string) {
		if holds {
			parts = append(parts, part)
		}
	}
	add(c.Lost != "", c.Lost)
	add(c.Missing && c.Lost == "", "missing")
	add(c.Created, "created")
	add(c.Changed, "changed")
	parts = append(parts, c.Differences...)
	add(c.InMemory, storageRemedy)
	add(c.Failed != "", c.Failed)
	add(c.Optional && (c.Missing || len(c.Differences) > 0), "the service starts all the same")
	if len(parts) == 0 {
		return "ok"
	}
	return strings.Join(parts, "; ")
}
