package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/backup"
)

// restoring holds the flags of the restore command.
type restoring struct {
	conn     connection
	out      output
	storeDir string
	replicas int
	force    bool
}

func newRestore() *cobra.Command {
	r := &restoring{}
	c := &cobra.Command{
		Use:   "restore DIR --stream-replicas N",
		Short: "Restore a backup, with so many copies of each stream",
		Long: `restore restores the backup in DIR, made on one node or more, with N copies of each stream: 1 on a
lone NATS server, 3 or 5 on a cluster. It then compares the result with the manifest.

No room service may run. If one of the streams exists, restore changes nothing, unless --force is given:
it then removes the existing streams first. Services that start during a restore, or after an
interrupted restore, wait until a restore is complete.

With --store-dir it restores to the folder of the embedded NATS server of roombus serve, which must
not run.`,
		Args: exactly("DIR"),
		RunE: func(c *cobra.Command, args []string) error { return r.run(c, args[0]) },
	}
	r.conn.addFlags(c)
	r.out.addFlags(c)
	f := c.Flags()
	f.IntVar(&r.replicas, streamReplicas, 0, "copies of each stream: 1, or 3 or 5 on a cluster")
	f.StringVar(&r.storeDir, "store-dir", "", "folder of the embedded NATS server of roombus serve, to restore without a running server (default of serve: "+defaultStoreDir()+")")
	f.BoolVar(&r.force, "force", false, "remove existing streams, with all their messages")
	return c
}

func (r *restoring) run(c *cobra.Command, dir string) error {
	if !c.Flags().Changed(streamReplicas) {
		return usage(c, "--stream-replicas is missing: say 1 for a lone NATS server, 3 or 5 for a cluster")
	}
	if err := checkReplicas(r.replicas); err != nil {
		return usage(c, "%v", err)
	}
	if _, err := backup.ReadManifest(dir); err != nil {
		return err
	}
	if r.storeDir != "" && r.conn.flags.URL+r.conn.flags.Context != "" {
		return usage(c, "--store-dir is about the embedded NATS server of roombus serve: leave --nats and --context out")
	}
	nc, stop, err := r.connect(c)
	if err != nil {
		return err
	}
	defer stop()
	clustered := nc.ConnectedClusterName() != ""
	if r.replicas > 1 && !clustered {
		return usage(c, "--stream-replicas %d needs a NATS cluster, and %s is a lone server", r.replicas, nc.ConnectedUrlRedacted())
	}
	if r.replicas == 1 && clustered {
		fmt.Fprintln(c.ErrOrStderr(), "roombus: the cluster will have one copy of each stream, which is lost with its node")
	}
	bars := &streamBars{w: c.ErrOrStderr()}
	cfg := transferConfig(c, nc, dir, bars)
	if r.storeDir == "" {
		if cfg.JSDomain, err = r.conn.settings().Domain(); err != nil {
			return err
		}
	}
	done, err := backup.Restore(c.Context(), cfg, r.replicas, r.force)
	bars.end()
	if err != nil {
		return err
	}
	return r.out.object(c.OutOrStdout(), done, func(w io.Writer) { showRestored(w, done) })
}

// connect connects to a server, or starts a server on the folder.
func (r *restoring) connect(c *cobra.Command) (nc *nats.Conn, stop func(), err error) {
	if r.storeDir == "" {
		nc, err = r.conn.connect(c.Context(), nats.NoReconnect())
		if err != nil {
			return nil, nil, err
		}
		return nc, nc.Close, nil
	}
	server, err := embedded.Start(c.Context(), embedded.Config{StoreDir: r.storeDir})
	if err != nil {
		return nil, nil, err
	}
	nc, err = server.Connect(nats.NoReconnect())
	if err != nil {
		server.Shutdown()
		return nil, nil, err
	}
	return nc, func() { nc.Close(); server.Shutdown() }, nil
}

// showRestored shows the backup next to the restored state.
func showRestored(w io.Writer, r *backup.Restored) {
	if len(r.Replaced) > 0 {
		fmt.Fprintf(w, "removed: %s\n", strings.Join(r.Replaced, ", "))
	}
	was, is := r.Backup.Contents, r.Now
	t := newTable(w, "\tBACKUP\tRESTORED")
	fmt.Fprintf(t, "projection hash\t%s\t%s\n", hashOf(was), hashOf(is))
	fmt.Fprintf(t, "rooms\t%s\t%s\n", liveOf(was), liveOf(is))
	fmt.Fprintf(t, "apps\t%s\t%s\n", countOf(was.Apps), countOf(is.Apps))
	fmt.Fprintf(t, "documents\t%s\t%s\n", countOf(was.Params), countOf(is.Params))
	for n, s := range was.Streams {
		now := is.Streams[n]
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, sizeOf(s), sizeOf(now))
		for _, c := range s.Consumers {
			at := slices.IndexFunc(now.Consumers, func(o backup.Consumer) bool { return o.Name == c.Name })
			fmt.Fprintf(t, "  consumer %s\t%s\t%s\n", plain(c.Name), positionOf(c), positionOf(now.Consumers[at]))
		}
	}
	_ = t.Flush()
	fmt.Fprintln(w, "restored; start the room services")
}

func sizeOf(s backup.Stream) string {
	return fmt.Sprintf("messages %d, last seq %d, copies %d", s.Messages, s.LastSeq, s.Copies)
}

func positionOf(c backup.Consumer) string {
	return fmt.Sprintf("ack floor %d, pending %d", c.AckFloor, c.Pending)
}
