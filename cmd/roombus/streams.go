package main

import (
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/roomsvc"
)

func newStreams() *cobra.Command {
	var replicas int
	c := &cobra.Command{
		Use:   "streams [STREAM]",
		Short: "Show how the streams must be configured, for who makes them by other means",
		Long: `streams writes the configuration of every stream that the room service needs, or of STREAM,
as one line of JSON each. A bucket is a stream too, named KV_ and the bucket's name. The
configuration is what nats stream add takes:

  roombus streams ROOM_EVENTS --replicas 3 >events.json
  nats stream add --config events.json

roombus serve makes whatever is absent by itself, unless it is started with --no-provision.`,
		Args: between(0, "STREAM"),
	}
	c.Flags().IntVar(&replicas, "replicas", roomsvc.Defaults().Replicas, "copies of the streams, on a NATS cluster: 1, 3 or 5")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkReplicas(replicas); err != nil {
			return usage(c, "%v", err)
		}
		found := false
		for _, cfg := range roomsvc.Streams(replicas) {
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
	return c
}
